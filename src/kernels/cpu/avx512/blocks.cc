#include <hwy/highway.h>
#include <immintrin.h>

#include "kernels/block_layout.h"
#include "kernels/block_table.h"

#define SLUICE_INLINE inline __attribute__((always_inline))
#define SLUICE_LAMBDA_INLINE __attribute__((always_inline))
#define SLUICE_UNROLL _Pragma("GCC unroll 16")

namespace sluice::kernels::avx512 {
namespace {

constexpr int kRegisterFloats = 16;

#include "kernels/cpu/lanes_highway.h"

#include "kernels/cpu/avx512/codes.h"
#include "kernels/cpu/copy_words.h"
#include "kernels/cpu/span_scale.h"
#include "kernels/cpu/step_codes.h"

#include "kernels/cpu/dot_pairs.h"
#include "kernels/cpu/pair_peak.h"
#include "kernels/cpu/quantize_row.h"
#include "kernels/cpu/scales.h"

#include "kernels/cpu/block_tile.h"

#include "kernels/cpu/block_slab.h"

#include "kernels/cpu/block_slab_tile.h"

#include "kernels/cpu/no_matrix_unit.h"

#include "kernels/cpu/prefetch.h"

#include "kernels/cpu/block_stored.h"

#include "kernels/cpu/block_panels.h"

#include "kernels/cpu/vector_panels.h"

#include "kernels/cpu/block_choice.h"

#include "kernels/cpu/fill_block_table.h"

}  // namespace

extern const BlockTable kBlockTable;
constinit const BlockTable kBlockTable = make_block_table();

}  // namespace sluice::kernels::avx512
