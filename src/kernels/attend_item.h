// One item of attention: some pairs (query row, query head) of a sequence that share a KV head.
// They are the rows of two small matrix products per block of kKeyBlock keys: scores = q K, out +=
// p V. Between them each row updates its own running maximum.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "kernels/gemm_tiles.h"
#include "kernels/ops.h"

namespace sluice::kernels {

constexpr int64_t kAttendItemRows = 192;                      // pairs of an item, for small heads
constexpr int64_t kAttendItemFloats = kAttendItemRows * 128;  // of their outputs, on the stack

inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// What one row has gathered: weights relative to `max`, their sum, and an output not yet divided.
struct AttendPartial {
  float max;
  float sum;
};

// Some pairs of one sequence that share a KV head.
struct AttendItem {
  const AttendSequence* sequence;
  int64_t kv_head;
  int64_t first_pair;
  int64_t pairs;
  bool head_follows;  // the same thread does the same pairs of the next KV head next
};

class AttendItemRun {
 public:
  AttendItemRun(const Exec& exec, const AttendArgs& args, const AttendItem& item)
      : ops_(*exec.ops),
        args_(args),
        layout_(args.cache.layout),
        item_(item),
        group_(args.q_heads / layout_.kv_heads),
        padded_(round_up(layout_.value_dim, 16)) {
    for (int64_t i = 0; i < item.pairs; ++i) {
      const int64_t pair = item.first_pair + i;
      q_[i] = args.q + (item.sequence->first_row + pair / group_) * args.ld_q +
              (item.kv_head * group_ + pair % group_) * layout_.key_dim;
    }
  }

  int64_t visible(int64_t i) const {
    return item_.sequence->first_position + (item_.first_pair + i) / group_ + 1;
  }

  // Attends to the keys of one split; afterwards output(i) and partial(i) of rows that see any.
  // `then` is the first key that is attended to next, if a head follows this split.
  void run_split(int64_t split, std::optional<int64_t> then);

  int64_t first_seeing(int64_t key) const {
    int64_t i = 0;
    while (i < item_.pairs && visible(i) <= key) ++i;
    return i;
  }

  float* output(int64_t i) { return out_ + i * padded_; }
  AttendPartial partial(int64_t i) const {
    float v[16];
    std::copy(state_[i].sum, state_[i].sum + 16, v);
    for (int width = 8; width > 0; width /= 2)
      for (int lane = 0; lane < width; ++lane) v[lane] = v[lane] + v[lane + width];
    return {state_[i].max, v[0]};
  }

 private:
  const std::byte* head_of(int64_t key, int64_t kv_head) const {
    return args_.cache.head(item_.sequence->blocks[key / layout_.block_tokens], kv_head);
  }
  const std::byte* head_of(int64_t key) const { return head_of(key, item_.kv_head); }
  void ask_for_keys(int64_t kv_head, int64_t first_key, int64_t end) const;
  void ask_for_values(int64_t first_key, int64_t end) const;
  void run_tile(int64_t first_key, int64_t first, int64_t count);
  void score(int64_t first_key, int64_t keys, int64_t first, int64_t count);
  void multiply_by_scales(int64_t first_key, int64_t keys, int64_t count,
                          int64_t (KvLayout::*scale_at)(int64_t) const);
  void weigh(int64_t first_key, int64_t keys, const float* const* weights, int64_t first,
             int64_t count);
  void weigh_panels(const std::byte* values, int64_t step, int64_t count_of_panels,
                    const float* const* weights, int64_t keys, float* out, int64_t count);

  // The tile of `count` rows and up to `panels` panels; all types have tiles of the same sizes.
  int panels_log2(int64_t count, int64_t panels) const {
    return tile_panels_log2(ops_, tensor::DType::kF32, static_cast<int>(count), panels);
  }
  void multiply(int log2, const std::byte* const* panels, int64_t step, const float* const* rows,
                int64_t cols, float* out, int64_t ld_out, int64_t count, bool resume) const {
    const auto& tiles = ops_.kv_gemm[static_cast<size_t>(layout_.dtype)];
    tiles[log2][count](panels, step, rows, cols, out, ld_out, resume);
  }

  const OpTable& ops_;
  const AttendArgs& args_;
  const KvLayout& layout_;
  const AttendItem& item_;
  const int64_t group_;
  const int64_t padded_;
  const float* q_[kAttendItemRows];
  SoftmaxState state_[kAttendItemRows];
  alignas(64) float scores_[kMaxTileTokens * kKeyBlock];
  alignas(64) float out_[kAttendItemFloats];
};

}  // namespace sluice::kernels
