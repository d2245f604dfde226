// What the lanes of a machine reach, as it was measured or stated.
#pragma once

#include <string>

#include "base/error.h"
#include "hardware/hardware.h"
#include "kernels/kv_dtype.h"
#include "models/weights_map.h"
#include "schedule/cost_model.h"
#include "tensor/dtype.h"

namespace sluice::schedule {

// Of what the weights are, as tensor::info() names it: of experts, and of the other matrices; and
// of what the cache keeps.
struct Formats {
  tensor::DType expert = tensor::DType::kBF16;
  tensor::DType dense = tensor::DType::kBF16;
  kernels::KvDType kv = kernels::KvDType::kBF16;
};

// What most weights of a model in memory are.
Formats formats_of(const models::ModelWeights& weights, kernels::KvDType kv);

// The arithmetic of a format's products, as hardware.json names it: "int8", "bf16", "f32".
const char* arithmetic_of(tensor::DType format);

// kInvalid: the hardware states no such part, which a plan needs.
Error missing(const hardware::Hardware& hardware, const std::string& what);

// What a level computes per second in that type or, where it states none, in the nearest that it
// states. kInvalid: it states none at all.
Result<double> arithmetic(const hardware::Hardware& hardware, const hardware::Level& level,
                          const std::string& dtype);

// The disk's lane, if there is a disk, and the host's: its rates and, of products of weights and of
// attention, the curves that were measured or, without them, the lower of its peak and what its
// memory reads. kInvalid names a part that is not stated.
Result<CostModel> host_costs(const hardware::Hardware& hardware, const Formats& formats);

}  // namespace sluice::schedule
