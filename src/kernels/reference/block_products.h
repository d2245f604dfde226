// Products with block formats as plainly as they can be written (block_table.h has their order).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/packed.h"
#include "tensor/block.h"

namespace sluice::kernels::reference {

// A token's activations in 8-bit codes.
struct CodedRow {
  std::vector<int> code;     // [cols]
  std::vector<float> scale;  // [cols / 32]
};
CodedRow code_row(const float* x, int64_t cols);

// An output row of the matrix: w[k] = scale[g] * value[k] - min[g].
struct BlockRow {
  tensor::BlockTraits traits;
  std::vector<int16_t> value;
  std::vector<float> scale, min;
};
BlockRow block_row(const PackedMatrix& w, int64_t r);

float dot(const BlockRow& w, const CodedRow& x);

}  // namespace sluice::kernels::reference
