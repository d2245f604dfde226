// Arithmetic that takes what is below the smallest normal float for 0, as AVX-512 BF16's dot
// product always does: for the ISAs that do without it, and the reference. Its code lies in one
// translation unit of no special ISA (op_table.h says why).
#pragma once

#include <cstdint>

namespace sluice::kernels {

// While it lives, this thread's float arithmetic flushes operands and results to 0, sign kept.
class FlushDenormals {
 public:
  FlushDenormals() noexcept;
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint32_t before_;
};

}  // namespace sluice::kernels
