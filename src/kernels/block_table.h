// The inner loops of one ISA over block formats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/quantized_rows.h"
#include "tensor/dtype.h"

namespace sluice::kernels {

// out[t * ld_out + lane] = sum over K of the panel's row `lane` times row t of quantized
// activations. By groups of K in order, each output is one chain:
//   acc = fma(float(sum of v(c) * code) * scale, row's scale, acc)
//   acc = fma(-row's scaled sum, min, acc)             where the format has a minimum
using BlockPanel = void (*)(const std::byte* panel, int64_t cols, const std::byte* const* rows,
                            int64_t tokens, float* out, int64_t ld_out);

struct BlockTable {
  BlockPanel panel[tensor::kDTypes];  // null for float formats
  // One row of `cols` values, whole spans, into QuantizedRows' form.
  void (*quantize_row)(const float* x, int64_t cols, std::byte* row);
};

}  // namespace sluice::kernels
