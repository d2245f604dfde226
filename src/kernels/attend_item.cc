#include "kernels/attend_item.h"

#include <cstring>
#include <limits>

#include "kernels/op_table.h"

namespace sluice::kernels {
namespace {

// The loops over panels ask for memory some way ahead of their loads (cpu/prefetch.h): the
// beginning of a panel, or of a block's values, is asked for here. The blocks of a cache lie
// anywhere, and no processor guesses the next one.
constexpr int64_t kAskedBytes = 4096;

void ask_for(const std::byte* from, int64_t bytes) {
  for (int64_t at = 0; at < std::min(bytes, kAskedBytes); at += 64)
    __builtin_prefetch(from + at, 0, 2);
}

}  // namespace

void AttendItemRun::ask_for_keys(int64_t kv_head, int64_t first_key, int64_t end) const {
  for (int64_t key = first_key; key < end; key += 16) {
    ask_for(head_of(key, kv_head) + layout_.key_panel_at(key % layout_.block_tokens),
            16 * layout_.key_bytes());
  }
}

void AttendItemRun::ask_for_values(int64_t first_key, int64_t end) const {
  for (int64_t key = first_key; key < end;) {
    const int64_t offset = key % layout_.block_tokens;
    const int64_t run = std::min(end - key, layout_.block_tokens - offset);
    ask_for(head_of(key) + layout_.value_at(offset), run * layout_.value_bytes());
    key += run;
  }
}

void AttendItemRun::run_split(int64_t split, std::optional<int64_t> then) {
  const int64_t first_key = split * kAttendSplit;
  const int64_t last_key = std::min(first_key + kAttendSplit, visible(item_.pairs - 1));
  for (int64_t i = first_seeing(first_key); i < item_.pairs; ++i) {
    state_[i].max = -std::numeric_limits<float>::infinity();
    std::fill(state_[i].sum, state_[i].sum + 16, 0.0f);
    std::fill(output(i), output(i) + padded_, 0.0f);
  }
  for (int64_t key = first_key; key < last_key; key += kKeyBlock) {
    const int64_t next = key + kKeyBlock;
    ask_for_values(key, std::min(next, last_key));
    if (next < last_key) {
      ask_for_keys(item_.kv_head, next, std::min(next + kKeyBlock, last_key));
    } else if (then) {
      ask_for_keys(item_.kv_head + 1, *then, std::min(*then + kKeyBlock, visible(item_.pairs - 1)));
    }
    const int64_t from = first_seeing(key);
    const int64_t rows = item_.pairs - from;
    const int64_t tiles = (rows + ops_.max_tile_tokens - 1) / ops_.max_tile_tokens;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t first = rows * tile / tiles;
      run_tile(key, from + first, rows * (tile + 1) / tiles - first);
    }
  }
}

// Rows [first, first + count) and the keys of one block; each row sees at least one of them.
void AttendItemRun::run_tile(int64_t first_key, int64_t first, int64_t count) {
  const auto seen = [&](int64_t i) {
    return std::min<int64_t>(visible(first + i) - first_key, kKeyBlock);
  };
  const int64_t most = seen(count - 1);
  score(first_key, most, first, count);
  const float* weights[kMaxTileTokens];
  for (int64_t i = 0; i < count; ++i) {
    weights[i] = scores_ + i * kKeyBlock;
    const float factor =
        ops_.softmax_block(scores_ + i * kKeyBlock, seen(i), args_.scale, &state_[first + i]);
    if (factor != 1.0f) ops_.scale_row(output(first + i), padded_, factor);
  }
  if (layout_.scaled()) {
    multiply_by_scales(first_key, most, count, &KvLayout::value_scale_at);
  }
  if (seen(0) == most) return weigh(first_key, most, weights, first, count);
  for (int64_t i = 0; i < count; ++i) weigh(first_key, seen(i), weights + i, first + i, 1);
}

// Rows of scores_ times the scales of the keys, or of the values, that they are about. What lies
// beyond `keys`, in whole sixteens, is multiplied by what lies there.
void AttendItemRun::multiply_by_scales(int64_t first_key, int64_t keys, int64_t count,
                                       int64_t (KvLayout::*scale_at)(int64_t) const) {
  float scales[kKeyBlock];
  const int64_t tiles = (keys + 15) / 16;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t key = first_key + i * 16;
    std::memcpy(scales + i * 16, head_of(key) + (layout_.*scale_at)(key % layout_.block_tokens),
                16 * sizeof(float));
  }
  for (int64_t i = 0; i < count; ++i)
    ops_.multiply_row(scores_ + i * kKeyBlock, scales, tiles * 16);
}

// scores_[i] = q . k, lanes beyond `keys` undefined.
void AttendItemRun::score(int64_t first_key, int64_t keys, int64_t first, int64_t count) {
  const std::byte* panels[kKeyBlock / 16];
  const int64_t tiles = (keys + 15) / 16;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t key = first_key + i * 16;
    panels[i] = head_of(key) + layout_.key_panel_at(key % layout_.block_tokens);
  }
  for (int64_t i = 0; i < tiles;) {
    const int log2 = panels_log2(count, tiles - i);
    multiply(log2, panels + i, 16 * element_bytes(layout_.dtype), q_ + first, layout_.key_dim,
             scores_ + i * 16, kKeyBlock, count, false);
    i += int64_t{1} << log2;
  }
  if (layout_.scaled()) multiply_by_scales(first_key, keys, count, &KvLayout::key_scale_at);
}

// output += weights . values, one run of keys per cache block.
void AttendItemRun::weigh(int64_t first_key, int64_t keys, const float* const* weights,
                          int64_t first, int64_t count) {
  const int64_t dim = layout_.value_dim;
  const int64_t whole = dim / 16 * 16;
  const int64_t element = element_bytes(layout_.dtype);
  for (int64_t at = 0; at < keys;) {
    const int64_t offset = (first_key + at) % layout_.block_tokens;
    const int64_t run = std::min(keys - at, layout_.block_tokens - offset);
    const std::byte* values = head_of(first_key + at) + layout_.value_at(offset);
    const float* rows[kMaxTileTokens];
    for (int64_t i = 0; i < count; ++i) rows[i] = weights[i] + at;
    weigh_panels(values, layout_.value_bytes(), whole / 16, rows, run, output(first), count);
    if (whole < dim) {
      // Bytes of zero are a zero in every type.
      alignas(64) std::byte tail[kKeyBlock * 16 * sizeof(float)];
      std::memset(tail, 0, static_cast<size_t>(run * 16 * element));
      for (int64_t k = 0; k < run; ++k) {
        std::memcpy(tail + k * 16 * element, values + k * layout_.value_bytes() + whole * element,
                    static_cast<size_t>((dim - whole) * element));
      }
      weigh_panels(tail, 16 * element, 1, rows, run, output(first) + whole, count);
    }
    at += run;
  }
}

// `step` bytes lie between a value and the next.
void AttendItemRun::weigh_panels(const std::byte* values, int64_t step, int64_t count_of_panels,
                                 const float* const* weights, int64_t keys, float* out,
                                 int64_t count) {
  const std::byte* panels[kMaxTilePanels];
  for (int64_t panel = 0; panel < count_of_panels;) {
    const int log2 = panels_log2(count, count_of_panels - panel);
    const int64_t size = int64_t{1} << log2;
    for (int64_t p = 0; p < size; ++p)
      panels[p] = values + (panel + p) * 16 * element_bytes(layout_.dtype);
    multiply(log2, panels, step, weights, keys, out + panel * 16, padded_, count, true);
    panel += size;
  }
}

}  // namespace sluice::kernels
