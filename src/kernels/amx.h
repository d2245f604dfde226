// Leave to use AMX's tiles, which the operating system gives a process that asks.
#pragma once

namespace sluice::kernels {

bool amx_permitted();

}  // namespace sluice::kernels
