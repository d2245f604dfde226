#include "engine/host_kv.h"

#include <cstring>

#include "base/rounding.h"
#include "kernels/kv_copy.h"

namespace sluice::engine {

std::byte* HostKv::home_of(int32_t block, int layer) const {
  const kernels::KvLayerView& view = cache_.layer(layer);
  return view.base + (block - there_.shape().resident) * view.block_stride;
}

void HostKv::bring(size_t flight, int layer, int part) const {
  const int window = there_.windows().of(flight, layer, part);
  const auto bytes =
      static_cast<size_t>(there_.shape().layers[static_cast<size_t>(layer)].block_bytes());
  int32_t entry = there_.first_in_window();
  for (const int32_t block : there_.arriving(flight, part)) {
    std::memcpy(there_.place_of(entry++, layer, window), home_of(block, layer), bytes);
  }
}

void HostKv::take_home(size_t flight, int layer, const models::BatchView& batch, int part) const {
  const int window = there_.windows().of(flight, layer, part);
  const kernels::KvLayout& layout = there_.shape().layers[static_cast<size_t>(layer)];
  const int64_t step = layout.block_tokens;
  const schedule::KvPart& of = there_.parts(flight)[static_cast<size_t>(part)];
  const int32_t* entries = there_.entries(flight, part).data();
  for (const models::SequenceRows& s :
       batch.sequences.subspan(static_cast<size_t>(of.first), static_cast<size_t>(of.sequences))) {
    for (int64_t p = s.first_position; p < s.first_position + s.rows; ++p) {
      const int32_t entry = entries[p / step];
      if (entry < there_.shape().resident) continue;
      kernels::copy_kv_token(layout, p % step, there_.place_of(entry, layer, window),
                             home_of(s.blocks[p / step], layer));
    }
    entries += base::div_up(s.first_position + s.rows, step);
  }
}

}  // namespace sluice::engine
