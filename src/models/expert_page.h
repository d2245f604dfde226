// How one expert lies where it can move: its three matrices packed for compute, one behind the
// other in one run of bytes that a disk reads in one piece.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/packed.h"
#include "tensor/dtype.h"

namespace sluice::models {

// One expert, or a dense layer's FFN. Views; somebody else owns the bytes.
struct FfnWeights {
  kernels::PackedMatrix gate, up, down;
};

// What O_DIRECT wants of offsets, sizes and addresses.
constexpr int64_t kExpertPageAlignment = 4096;

// Gate lies at 0. Every matrix begins at a multiple of kernels::kPackAlignment; what lies between
// and behind them is zeros. Of all experts of a layer the page is the same.
struct ExpertPage {
  tensor::DType gate = tensor::DType::kF32;
  tensor::DType up = tensor::DType::kF32;
  tensor::DType down = tensor::DType::kF32;
  int64_t hidden = 0;  // gate and up are [inter, hidden], down is [hidden, inter]
  int64_t inter = 0;
  int64_t up_offset = 0, down_offset = 0;
  int64_t bytes = 0;  // of the page, a multiple of kExpertPageAlignment
  bool operator==(const ExpertPage&) const = default;
};

// Columns must be whole blocks of the dtypes.
ExpertPage expert_page(int64_t hidden, int64_t inter, tensor::DType gate, tensor::DType up,
                       tensor::DType down);

// The matrices of the page at `data` [page.bytes], aligned to kernels::kPackAlignment.
FfnWeights expert_at(const ExpertPage& page, const std::byte* data);

}  // namespace sluice::models
