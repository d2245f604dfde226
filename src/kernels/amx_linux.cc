#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/amx.h"

namespace sluice::kernels {

// For all threads of the process, and whatever it forks. Documentation/arch/x86/xstate.rst
bool amx_permitted() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace sluice::kernels
