// Attention as kernels/ops.h orders it: splits of kAttendSplit keys, in them blocks of 64 keys, at
// absolute positions. A block raises the running maximum once; a split's keys are then summed in
// order; splits are folded in order.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/reference.h"
#include "tensor/float.h"

namespace sluice::kernels::reference {
namespace {

constexpr int64_t kBlockKeys = 64;

struct Gathered {
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0.0f;
  std::vector<float> out;
};

float element(const std::byte* from, KvDType dtype, int64_t index) {
  switch (dtype) {
    case KvDType::kF32:
      return reinterpret_cast<const float*>(from)[index];
    case KvDType::kF16:
      return tensor::f16_to_f32(reinterpret_cast<const uint16_t*>(from)[index]);
    case KvDType::kBF16:
      return tensor::bf16_to_f32(reinterpret_cast<const uint16_t*>(from)[index]);
    case KvDType::kQ8:
      break;
  }
  return static_cast<float>(reinterpret_cast<const int8_t*>(from)[index]);
}

// What a KV head holds at a position; with q8 elements are codes, and times the scale what they
// stand for.
class Head {
 public:
  Head(const KvLayerView& cache, const int32_t* blocks, int64_t head)
      : cache_(cache), layout_(cache.layout), blocks_(blocks), head_(head) {}

  float key(int64_t position, int64_t d) const {
    const int64_t offset = position % layout_.block_tokens;
    return element(base(position) + layout_.key_panel_at(offset), layout_.dtype,
                   d * 16 + offset % 16);
  }
  float value(int64_t position, int64_t d) const {
    const int64_t offset = position % layout_.block_tokens;
    return element(base(position) + layout_.value_at(offset), layout_.dtype, d);
  }
  float key_scale(int64_t position) const {
    return scale(position, layout_.key_scale_at(position % layout_.block_tokens));
  }
  float value_scale(int64_t position) const {
    return scale(position, layout_.value_scale_at(position % layout_.block_tokens));
  }

 private:
  float scale(int64_t position, int64_t at) const {
    return layout_.scaled() ? *reinterpret_cast<const float*>(base(position) + at) : 1.0f;
  }
  const std::byte* base(int64_t position) const {
    return cache_.head(blocks_[position / layout_.block_tokens], head_);
  }
  const KvLayerView& cache_;
  const KvLayout& layout_;
  const int32_t* blocks_;
  int64_t head_;
};

Gathered one_split(const Head& head, const KvLayout& layout, const float* q, float scale,
                   int64_t first_key, int64_t last_key) {
  Gathered state;
  state.out.assign(static_cast<size_t>(layout.value_dim), 0.0f);
  float partial[16] = {};
  for (int64_t block = first_key; block < last_key; block += kBlockKeys) {
    const int64_t end = std::min(block + kBlockKeys, last_key);
    std::vector<float> scores;
    for (int64_t key = block; key < end; ++key) {
      float score = 0.0f;
      for (int64_t d = 0; d < layout.key_dim; ++d) score = std::fma(head.key(key, d), q[d], score);
      scores.push_back(score * head.key_scale(key) * scale);
    }
    const float top = std::max(state.max, *std::max_element(scores.begin(), scores.end()));
    const float factor = exp(state.max - top);
    state.max = top;
    for (float& sum : partial) sum *= factor;
    for (float& out : state.out) out *= factor;
    for (int64_t key = block; key < end; ++key) {
      const float weight = exp(scores[static_cast<size_t>(key - block)] - top);
      const float scaled = weight * head.value_scale(key);
      partial[key % 16] += weight;
      for (int64_t d = 0; d < layout.value_dim; ++d) {
        float& out = state.out[static_cast<size_t>(d)];
        out = std::fma(head.value(key, d), scaled, out);
      }
    }
  }
  state.sum = fold(partial);
  return state;
}

void fold_in(Gathered* total, const Gathered& next) {
  const float top = std::max(total->max, next.max);
  const float a = exp(total->max - top);
  const float b = exp(next.max - top);
  total->max = top;
  total->sum = total->sum * a + next.sum * b;
  for (size_t d = 0; d < total->out.size(); ++d)
    total->out[d] = std::fma(next.out[d], b, total->out[d] * a);
}

}  // namespace

void attend(const AttendArgs& args) {
  const KvLayout& layout = args.cache.layout;
  const int64_t group = args.q_heads / layout.kv_heads;
  for (const AttendSequence& sequence : args.sequences) {
    for (int64_t row = 0; row < sequence.rows; ++row) {
      const int64_t keys = sequence.first_position + row + 1;
      for (int64_t h = 0; h < args.q_heads; ++h) {
        const Head head(args.cache, sequence.blocks, h / group);
        const float* q = args.q + (sequence.first_row + row) * args.ld_q + h * layout.key_dim;
        Gathered total;
        for (int64_t key = 0; key < keys; key += kAttendSplit) {
          Gathered next =
              one_split(head, layout, q, args.scale, key, std::min(key + kAttendSplit, keys));
          if (key == 0) {
            total = next;
          } else {
            fold_in(&total, next);
          }
        }
        float* out = args.out + (sequence.first_row + row) * args.ld_out + h * layout.value_dim;
        const float inverse = 1.0f / total.sum;
        for (int64_t d = 0; d < layout.value_dim; ++d)
          out[d] = total.out[static_cast<size_t>(d)] * inverse;
      }
    }
  }
}

}  // namespace sluice::kernels::reference
