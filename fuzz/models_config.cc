// config.json as anyone may have written it: read or refused, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "models/family.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = sluice::base::parse_json(text, {.bytes = size_t{1} << 20});
  if (!json) return 0;
  const auto config = sluice::models::read_config(*json);
  if (!config) return 0;
  // Tables of what a hostile file may describe are large; small ones are walked.
  if (config->layer_count() * (config->max_experts() + 1) < 4096) {
    sluice::models::count_parameters(*config);
    sluice::models::active_parameters(*config);
  }
  return 0;
}
