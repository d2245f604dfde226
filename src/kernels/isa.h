// The instruction sets that the kernels are built for. Free of code, so that every translation unit
// may include it, whatever it is compiled for.
#pragma once

#include <cstdint>

namespace sluice::kernels {

enum class Isa : uint8_t { kScalar, kAvx2, kAvx512, kAvx512Vnni, kAvx512Bf16, kAmxInt8 };

}  // namespace sluice::kernels
