// model.safetensors.index.json: no shard that parse_index lets through lies outside the directory.
#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "base/check.h"
#include "weights/safetensors_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto map = sluice::weights::parse_index({reinterpret_cast<const char*>(data), size});
  if (!map) {
    SLUICE_CHECK(!map.error().message.empty(), "an error says something");
    return 0;
  }
  for (size_t i = 0; i < map->size(); ++i) {
    const auto& [tensor, shard] = (*map)[i];
    SLUICE_CHECK(i == 0 || (*map)[i - 1].first < tensor, "sorted, each once");
    SLUICE_CHECK((std::filesystem::path("/models/m") / shard).lexically_normal().parent_path() ==
                     "/models/m",
                 "a shard lies beside its index");
  }
  return 0;
}
