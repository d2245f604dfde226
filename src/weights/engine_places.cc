#include "weights/engine_places.h"

#include "base/check.h"
#include "base/rounding.h"

namespace sluice::weights {

EnginePlaces place_groups(std::span<const int64_t> sizes, int64_t most_file_bytes) {
  EnginePlaces places;
  places.groups.reserve(sizes.size());
  for (const int64_t size : sizes) {
    SLUICE_CHECK(size > 0, "a group holds something");
    const int64_t padded = base::round_up(size, kEngineAlignment);
    if (places.files.empty() || places.files.back().bytes + padded > most_file_bytes)
      places.files.push_back({engine_file_name(static_cast<int64_t>(places.files.size())), 0});
    EngineFile& file = places.files.back();
    places.groups.push_back({static_cast<int>(places.files.size()) - 1, file.bytes, size});
    file.bytes += padded;
    places.bytes += padded;
  }
  return places;
}

}  // namespace sluice::weights
