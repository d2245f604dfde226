#include "kernels/block_layout.h"
#include "kernels/block_table.h"

#define SLUICE_INLINE inline __attribute__((always_inline))

namespace sluice::kernels::scalar {
namespace {

#include "kernels/cpu/lanes_scalar.h"

#include "kernels/cpu/scales.h"
#include "kernels/cpu/span_scale.h"

#include "kernels/cpu/scalar/blocks_scalar.h"

#include "kernels/cpu/fill_block_table.h"

}  // namespace

extern const BlockTable kBlockTable;
constinit const BlockTable kBlockTable = make_block_table();

}  // namespace sluice::kernels::scalar
