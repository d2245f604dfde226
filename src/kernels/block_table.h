// The inner loops of one ISA over block formats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/quantized_rows.h"
#include "tensor/dtype.h"

namespace sluice::kernels {

// The most tokens of one call; the slab of their activations stays close to the core.
constexpr int64_t kMaxItemTokens = 72;
// The panels of one call, at most.
constexpr int64_t kMaxBlockPanels = 16;

struct PanelList {
  const std::byte* const* at;
  int64_t count;
  // What the caller multiplies afterwards, to be sent for; may be none.
  const std::byte* const* next;
  int64_t next_count;
};

// out[t * ld_out + p * 16 + lane] = sum over K of panel p's row `lane` times row t of quantized
// activations, for all panels of the list. By groups of K in order, each output is one chain:
//   acc = fma(float(sum of v(c) * code) * scale, row's scale, acc)
//   acc = fma(-row's scaled sum, min, acc)             where the format has a minimum
using BlockPanels = void (*)(const PanelList& panels, int64_t cols, const std::byte* const* rows,
                             int64_t tokens, float* out, int64_t ld_out);

// How an ISA tiles products with a format, to be printed (block_tiling() of gemm_tiles.h). No
// choice changes a bit of the result.
struct BlockTiles {
  int tokens;             // of a register tile, at most
  int panels;             // of a register tile, at most
  int64_t few_tokens;     // up to these, vectors take panels from end to end as they are stored,
  int64_t stored_tokens;  // in tiles of one panel and at most so many,
  int64_t pair_tokens;    // two panels at once up to these; else slab by slab:
  int64_t panels_ahead;   // sent for together
  int64_t many_tokens;    // from these on, other numbers of panels are:
  int64_t panels_ahead_many;
  int64_t list_panels;    // share one gathering of the tokens
  int64_t slab_cols;      // values of K
  int64_t matrix_tokens;  // from these on the matrix unit multiplies; 0: there is none
};

struct BlockTable {
  BlockPanels panels[tensor::kDTypes];  // null for float formats
  BlockTiles tiles[tensor::kDTypes];
  // One row of `cols` values, whole spans, into QuantizedRows' form.
  void (*quantize_row)(const float* x, int64_t cols, std::byte* row);
  // The rate of the products of codes by themselves, as OpTable's other rates; null where the ISA
  // has no instruction for them.
  int32_t (*dot_loop)(int64_t rounds);
  int64_t dot_ops;
};

}  // namespace sluice::kernels
