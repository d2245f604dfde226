// What an engine directory holds of a model, in which order: the groups that are written and read
// as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/weight_source.h"
#include "weights/engine_manifest.h"
#include "weights/engine_places.h"

namespace sluice::models {

// A tensor that is no expert's, or an expert's page.
struct EngineGroup {
  size_t tensor = 0;  // in the table; of a page its gate
  int layer = -1, expert = -1;
  int64_t bytes = 0;

  bool is_page() const { return expert >= 0; }
};

// In the order in which a forward pass reads them. source.check_pages() holds.
std::vector<EngineGroup> engine_groups(const WeightSource& source);

// The group's bytes into `into` [group.bytes], aligned to kernels::kPackAlignment.
Status read_group(WeightSource& source, const EngineGroup& group, std::byte* into,
                  base::ThreadTeam& team);

// Fills manifest.tensors and .experts. `crc32c` by group, as all places of `places` are.
void describe_groups(const WeightSource& source, std::span<const EngineGroup> groups,
                     const weights::EnginePlaces& places, std::span<const uint32_t> crc32c,
                     weights::EngineManifest& manifest);

}  // namespace sluice::models
