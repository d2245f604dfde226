#include <bit>
#include <cmath>
#include <vector>

#include "kernels/denormals.h"
#include "kernels/reference/block_products.h"
#include "kernels/reference/reference.h"
#include "tensor/float.h"

namespace sluice::kernels::reference {
namespace {

// One chain of fused multiply-adds over K.
float dot(const std::vector<float>& w, const float* x) {
  float sum = 0.0f;
  for (size_t k = 0; k < w.size(); ++k) sum = std::fma(w[k], x[k], sum);
  return sum;
}

// x in bf16, as float; 0 for what is below the smallest normal float.
float rounded(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7f800000u) == 0) return std::bit_cast<float>(bits & 0x80000000u);
  return tensor::bf16_to_f32(tensor::f32_to_bf16(x));
}

// Pairs of k, the odd one first; an odd number of columns has a zero behind it.
float dot_of_pairs(const std::vector<float>& w, const float* x) {
  const FlushDenormals flush;
  float sum = 0.0f;
  for (size_t k = 0; k < w.size(); k += 2) {
    const bool pair = k + 1 < w.size();
    sum = std::fma(pair ? w[k + 1] : 0.0f, pair ? rounded(x[k + 1]) : 0.0f, sum);
    sum = std::fma(w[k], rounded(x[k]), sum);
  }
  return sum;
}

// A token as products read it.
struct Token {
  const float* x;
  CodedRow coded;  // for block formats
};

Token token_for(const PackedMatrix& w, const float* x) {
  return {x, tensor::is_block_format(w.dtype) ? code_row(x, w.cols) : CodedRow{}};
}

// An output row of a matrix of any dtype.
class Row {
 public:
  Row(const PackedMatrix& w, int64_t r)
      : is_block_(tensor::is_block_format(w.dtype)), pairs_(w.dtype == tensor::DType::kBF16Dot) {
    if (is_block_) {
      block_ = block_row(w, r);
    } else {
      floats_.resize(static_cast<size_t>(w.cols));
      unpack_row(w, r, floats_.data());
    }
  }
  float times(const Token& token) const {
    if (is_block_) return dot(block_, token.coded);
    return pairs_ ? dot_of_pairs(floats_, token.x) : dot(floats_, token.x);
  }

 private:
  bool is_block_, pairs_;
  BlockRow block_;
  std::vector<float> floats_;
};

}  // namespace

void linear(const PackedMatrix& w, const float* x, int64_t ld_x, int64_t tokens, float* y,
            int64_t ld_y, const LinearOptions& options) {
  std::vector<Token> token;
  for (int64_t t = 0; t < tokens; ++t) token.push_back(token_for(w, x + t * ld_x));
  for (int64_t r = 0; r < w.rows; ++r) {
    const Row row(w, r);
    for (int64_t t = 0; t < tokens; ++t) {
      float product = row.times(token[static_cast<size_t>(t)]);
      if (options.bias != nullptr) product += options.bias[r];
      float& to = y[t * ld_y + r];
      to = options.accumulate ? to + product : product;
    }
  }
}

void expert_gate_up(std::span<const ExpertGroup> groups, const int32_t* token_of_slot,
                    const float* x, int64_t ld_x, float* hidden, int64_t ld_hidden) {
  for (const ExpertGroup& group : groups) {
    if (group.tokens == 0) continue;
    const bool gate_coded = tensor::is_block_format(group.gate->dtype);
    std::vector<Token> token;
    for (int64_t i = 0; i < group.tokens; ++i)
      token.push_back(token_for(gate_coded ? *group.gate : *group.up,
                                x + token_of_slot[group.first_slot + i] * ld_x));
    for (int64_t r = 0; r < group.gate->rows; ++r) {
      const Row gate(*group.gate, r);
      const Row up(*group.up, r);
      for (int64_t i = 0; i < group.tokens; ++i) {
        const float g = gate.times(token[static_cast<size_t>(i)]);
        hidden[(group.first_slot + i) * ld_hidden + r] =
            g / (1.0f + exp(-g)) * up.times(token[static_cast<size_t>(i)]);
      }
    }
  }
}

void expert_down(std::span<const ExpertGroup> groups, const float* hidden, int64_t ld_hidden,
                 float* out, int64_t ld_out) {
  for (const ExpertGroup& group : groups) {
    if (group.tokens == 0) continue;
    linear(*group.down, hidden + group.first_slot * ld_hidden, ld_hidden, group.tokens,
           out + group.first_slot * ld_out, ld_out);
  }
}

}  // namespace sluice::kernels::reference
