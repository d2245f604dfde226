#include "models/expert_page.h"

#include "base/rounding.h"

namespace sluice::models {

ExpertPage expert_page(int64_t hidden, int64_t inter, tensor::DType gate, tensor::DType up,
                       tensor::DType down) {
  ExpertPage page{.gate = gate, .up = up, .down = down, .hidden = hidden, .inter = inter};
  page.up_offset =
      base::round_up(kernels::packed_bytes(gate, inter, hidden), kernels::kPackAlignment);
  page.down_offset = page.up_offset + base::round_up(kernels::packed_bytes(up, inter, hidden),
                                                     kernels::kPackAlignment);
  page.bytes = base::round_up(page.down_offset + kernels::packed_bytes(down, hidden, inter),
                              kExpertPageAlignment);
  return page;
}

FfnWeights expert_at(const ExpertPage& page, const std::byte* data) {
  const auto matrix = [&](tensor::DType dtype, int64_t rows, int64_t cols, int64_t offset) {
    return kernels::PackedMatrix{.dtype = dtype, .rows = rows, .cols = cols, .data = data + offset};
  };
  return {.gate = matrix(page.gate, page.inter, page.hidden, 0),
          .up = matrix(page.up, page.inter, page.hidden, page.up_offset),
          .down = matrix(page.down, page.hidden, page.inter, page.down_offset)};
}

}  // namespace sluice::models
