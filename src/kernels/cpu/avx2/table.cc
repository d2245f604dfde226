#include <hwy/highway.h>
#include <immintrin.h>

#include "kernels/block_layout.h"
#include "kernels/denormals.h"
#include "kernels/op_table.h"

#define SLUICE_INLINE inline __attribute__((always_inline))
#define SLUICE_UNROLL _Pragma("GCC unroll 16")

namespace sluice::kernels::avx2 {

extern const BlockTable kBlockTable;

namespace {

constexpr int kRegisterFloats = 8;

#include "kernels/cpu/lanes_highway.h"

constexpr Isa kIsa = Isa::kAvx2;
constexpr int kChains = 6;
constexpr int kTiles[kTilePanelSizes] = {6, 3, 1};

#include "kernels/cpu/prefetch.h"

#include "kernels/cpu/exp.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/rounded_rows.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/softmax_block.h"

#include "kernels/cpu/gemm_slab.h"

#include "kernels/cpu/no_bf16_peak.h"
#include "kernels/cpu/peaks.h"

#include "kernels/cpu/table.h"

}  // namespace

extern const OpTable kTable;
constinit const OpTable kTable = make_table();

}  // namespace sluice::kernels::avx2
