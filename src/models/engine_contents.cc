#include "models/engine_contents.h"

#include "models/load_tensor.h"

namespace sluice::models {
namespace {

// The place of a page, behind those of the experts before it.
void add_page(const weights::EnginePlace& place, weights::EngineExperts& experts) {
  if (!experts.runs.empty()) {
    weights::PageRun& run = experts.runs.back();
    if (run.file == place.file && run.offset + run.pages * experts.page_bytes == place.offset) {
      ++run.pages;
      return;
    }
  }
  experts.runs.push_back({place.file, place.offset, 1});
}

weights::EngineExperts layer_of(const ExpertPage& page, int layer) {
  weights::EngineExperts experts;
  experts.layer = layer;
  experts.hidden = page.hidden;
  experts.inter = page.inter;
  experts.gate = page.gate;
  experts.up = page.up;
  experts.down = page.down;
  experts.up_offset = page.up_offset;
  experts.down_offset = page.down_offset;
  experts.page_bytes = page.bytes;
  return experts;
}

}  // namespace

std::vector<EngineGroup> engine_groups(const WeightSource& source) {
  std::vector<EngineGroup> groups;
  for (size_t i = 0; i < source.table().size(); ++i) {
    const TensorSlot& tensor = source.table()[i];
    if (!tensor.is_expert()) {
      groups.push_back({.tensor = i, .bytes = bytes_in_memory(tensor, source.dtype(i))});
    } else if (tensor.slot == Slot::kGate) {
      groups.push_back({i, tensor.layer, tensor.expert, source.page(tensor.layer).bytes});
    }
  }
  return groups;
}

Status read_group(WeightSource& source, const EngineGroup& group, std::byte* into,
                  base::ThreadTeam& team) {
  if (group.is_page()) return source.read_page(group.layer, group.expert, into, &team);
  return source.read(group.tensor, into, team);
}

void describe_groups(const WeightSource& source, std::span<const EngineGroup> groups,
                     const weights::EnginePlaces& places, std::span<const uint32_t> crc32c,
                     weights::EngineManifest& manifest) {
  for (size_t i = 0; i < groups.size(); ++i) {
    const EngineGroup& group = groups[i];
    const weights::EnginePlace& place = places.groups[i];
    const TensorSlot& slot = source.table()[group.tensor];
    if (group.is_page()) {
      if (group.expert == 0)
        manifest.experts.push_back(layer_of(source.page(group.layer), group.layer));
      add_page(place, manifest.experts.back());
      manifest.experts.back().crc32c.push_back(crc32c[i]);
      continue;
    }
    weights::EngineTensor tensor{.name = slot.name, .dtype = source.dtype(group.tensor)};
    tensor.layout =
        slot.is_matrix() ? weights::EngineLayout::kRows16 : weights::EngineLayout::kPlain;
    tensor.dims.assign(slot.shape.dims.begin(), slot.shape.dims.begin() + slot.shape.rank);
    tensor.file = place.file;
    tensor.offset = place.offset;
    tensor.bytes = place.bytes;
    tensor.crc32c = crc32c[i];
    manifest.tensors.push_back(std::move(tensor));
  }
}

}  // namespace sluice::models
