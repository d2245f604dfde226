// What the kernels for experts reach with few and many tokens for each expert, format by format.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "hardware/hardware.h"
#include "kernels/exec.h"
#include "tensor/dtype.h"

namespace sluice::probe {

struct ExpertRateOptions {
  std::vector<tensor::DType> formats;  // that tensor::quantize() writes
  std::vector<int64_t> tokens;         // for each expert, in the mean
  // Of experts: [hidden, inter] as models of today have them.
  int64_t hidden = 2048, inter = 1024;
  int64_t weight_bytes = int64_t{512} << 20;  // of a format's experts: beyond the caches
  int time_ms = 100;                          // of each rate
};
// What a model's weights may be kept in, and 1, 2, 4, ... 256 tokens.
ExpertRateOptions usual_expert_rates();
// Halves hidden and inter, to 256 at least, until four experts in f32 fit into `weight_bytes`.
void narrow_to_fit(ExpertRateOptions& options);

// gate and up with the activation between, and down, activations quantized on the way where the
// format wants it; tokens spread over the experts as an even router spreads them. The median of
// rounds over all experts, or as many as `time_ms` allows. Sorted as Compute::kernel_rates. `each`
// is told how many rates are done. Errors: kNoRoom.
Result<std::vector<hardware::KernelRate>> measure_expert_rates(
    const kernels::Exec& exec, const ExpertRateOptions& options,
    const std::function<void(int64_t done)>& each = {});

}  // namespace sluice::probe
