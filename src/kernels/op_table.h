// The inner loops of one ISA. This header and what it includes hold no code: a translation unit
// compiled for AVX-512 that emitted an inline function could lend it to the whole program.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/block_table.h"
#include "kernels/isa.h"
#include "kernels/kv_dtype.h"

namespace sluice::kernels {

// out[t * ld_out + p * 16 + lane] = sum over k in order of panel p [k][lane] * rows[t][k], one
// fused multiply-add each, from zero or, with `resume`, from what out holds. `step` is the distance
// in bytes from one group of K to the next in a panel (a group is one k, for bf16 two).
using GemmTile = void (*)(const std::byte* const* panels, int64_t step, const float* const* rows,
                          int64_t cols, float* out, int64_t ld_out, bool resume);

// The same from zero for a whole list of panels and up to kMaxItemTokens tokens.
using FloatPanels = void (*)(const PanelList& panels, int64_t cols, const float* const* rows,
                             int64_t tokens, float* out, int64_t ld_out);

constexpr int kMaxTileTokens = 12;
constexpr int kTilePanelSizes = 3;  // 1, 2, 4 panels
constexpr int kMaxTilePanels = 4;
constexpr int kKeyBlock = 64;  // keys between two updates of attention's running maximum

// One query row's softmax over the keys seen so far.
struct SoftmaxState {
  float max;
  float sum[16];  // key k is summed in lane k % 16
};

struct OpTable {
  Isa isa;
  const BlockTable* blocks;
  int max_tile_tokens;
  // [tensor::DType][log2 of panels][tokens]; null where there is none. Of bf16_dot the rows are
  // rounded to bf16, and of each pair of k the odd one is added first; what is below the smallest
  // normal float counts as 0, before and after each multiply-add: the dot product of AVX-512 BF16.
  GemmTile gemm[tensor::kFloatDTypes][kTilePanelSizes][kMaxTileTokens + 1];
  // For panel_tokens tokens or more: tiles of gemm would widen a weight once for each of them. Null
  // where gemm is all there is.
  FloatPanels panels[tensor::kFloatDTypes];
  int64_t panel_tokens;
  // The same over panels of a KV cache, by KvDType: a group is one k in each, codes of q8 are
  // multiplied as they are.
  GemmTile kv_gemm[kKvDTypes][kTilePanelSizes][kMaxTileTokens + 1];

  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t dim, float* y);
  void (*silu_mul)(const float* gate, const float* up, int64_t dim, float* y);
  // y += sum over k of weight[k] * out[slot[k]]
  void (*combine)(const float* out, int64_t ld_out, const int32_t* slot, const float* weight,
                  int top_k, int64_t dim, float* y);
  float (*row_max)(const float* x, int64_t dim);
  float (*sum_exp)(const float* x, int64_t dim, float max);  // sum of exp(x - max)
  void (*softmax)(const float* x, int64_t dim, float* y);    // y [dim]
  // Scores of up to kKeyBlock keys, of which the first `visible` count, become weights in place;
  // returns the factor for what was summed under the former maximum.
  float (*softmax_block)(float* scores, int64_t visible, float scale, SoftmaxState* state);
  float (*exp)(float x);
  void (*scale_row)(float* x, int64_t dim, float factor);                      // x *= factor
  void (*multiply_row)(float* x, const float* by, int64_t dim);                // x *= by
  void (*merge_row)(float* x, float a, const float* y, float b, int64_t dim);  // x = x a + y b

  // Rates of this machine, for probe. Each returns something that depends on all its work.
  float (*read_all)(const float* data, int64_t count);  // count a multiple of 256
  float (*fma_loop)(int64_t rounds);                    // fma_flops each
  int64_t fma_flops;
  float (*bf16_dot_loop)(int64_t rounds);  // null where the ISA has no such instruction
  int64_t bf16_dot_flops;
};

}  // namespace sluice::kernels
