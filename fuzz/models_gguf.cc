// A GGUF file as anyone may have written it, as a model: read or refused, never a crash, up to the
// point where its weights would be packed.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "models/checkpoint_tensors.h"
#include "models/gguf_model.h"
#include "weights/gguf.h"

namespace {

void read_model(const std::string& path) {
  const auto checkpoint = sluice::weights::open_gguf(path);
  if (!checkpoint) return;
  const auto model = sluice::models::read_gguf_model(*checkpoint);
  if (!model) {
    SLUICE_CHECK(!model.error().message.empty(), "an error says something");
    return;
  }
  const auto& config = model->config;
  // Tables of what a hostile file may describe are large; small ones are walked.
  if (config.layer_count() * (config.max_experts() + 1) > 4096) return;
  const auto& names = sluice::models::names_in(*checkpoint, config, *model->family);
  [[maybe_unused]] const auto status = sluice::models::check_tensors(
      config, sluice::models::tensor_table(config, names), *checkpoint);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int file = memfd_create("fuzz", 0);
  if (file < 0) return 0;
  if (write(file, data, size) == static_cast<ssize_t>(size))
    read_model("/proc/self/fd/" + std::to_string(file));
  close(file);
  return 0;
}
