#include "kernels/block_layout.h"
#include "kernels/block_table.h"

#define SLUICE_INLINE inline __attribute__((always_inline))

namespace sluice::kernels::scalar {
namespace {

#include "kernels/cpu/lanes_scalar.h"

#include "kernels/cpu/scales.h"
#include "kernels/cpu/span_scale.h"

#include "kernels/cpu/scalar/blocks_scalar.h"

template <int kDType>
constexpr void fill_panels(BlockTable& table) {
  if constexpr (kDType < tensor::kDTypes) {
    table.panel[kDType] = &block_panel<kDType>;
    fill_panels<kDType + 1>(table);
  }
}

constexpr BlockTable make_block_table() {
  BlockTable table{};
  fill_panels<tensor::kFloatDTypes>(table);
  table.quantize_row = &quantize_row;
  return table;
}

}  // namespace

extern const BlockTable kBlockTable;
constinit const BlockTable kBlockTable = make_block_table();

}  // namespace sluice::kernels::scalar
