#include <immintrin.h>

#include "kernels/denormals.h"

namespace sluice::kernels {
namespace {

constexpr uint32_t kFlushResults = 0x8000;
constexpr uint32_t kOperandsAreZero = 0x0040;

}  // namespace

FlushDenormals::FlushDenormals() noexcept : before_(_mm_getcsr()) {
  _mm_setcsr(before_ | kFlushResults | kOperandsAreZero);
}
FlushDenormals::~FlushDenormals() { _mm_setcsr(before_); }

}  // namespace sluice::kernels
