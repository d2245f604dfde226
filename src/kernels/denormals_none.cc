#include "kernels/denormals.h"

namespace sluice::kernels {

FlushDenormals::FlushDenormals() noexcept : before_(0) {}
FlushDenormals::~FlushDenormals() = default;

}  // namespace sluice::kernels
