#include <algorithm>
#include <cstdio>

#include "kernels/each_isa.h"
#include "kernels/gemm_tiles.h"
#include "kernels/op_table.h"

namespace sluice::kernels {
namespace {

constexpr Isa kAll[] = {Isa::kScalar,     Isa::kAvx2,       Isa::kAvx512,
                        Isa::kAvx512Vnni, Isa::kAvx512Bf16, Isa::kAmxInt8};

TEST(Isas, SaysWhichOnesDoNotRunHere) {
  const auto have = available_isas();
  ASSERT_EQ(have.front(), Isa::kScalar);
  EXPECT_EQ(best_isa(), have.back());
  for (Isa isa : kAll) {
    EXPECT_EQ(parse_isa(name(isa)), isa);
    if (std::find(have.begin(), have.end(), isa) == have.end()) {
      std::printf(
          "[   ISA    ] %s: not on this CPU or in this program, so no kernel was tested on it\n",
          name(isa));
      continue;
    }
    EXPECT_EQ(op_table(isa).isa, isa);
  }
  EXPECT_FALSE(parse_isa("mmx"));
}

// Callers choose tiles by these: no token count up to the largest may be without a kernel.
TEST(Isas, TablesHaveEveryTile) {
  for (Isa isa : available_isas()) {
    const OpTable& ops = op_table(isa);
    ASSERT_LE(ops.max_tile_tokens, kMaxTileTokens);
    for (int dtype = 0; dtype < 3; ++dtype) {
      for (int tokens = 1; tokens <= ops.max_tile_tokens; ++tokens)
        EXPECT_NE(ops.gemm[dtype][0][tokens], nullptr);
      EXPECT_NE(ops.gemm[dtype][1][1], nullptr) << "gate and up need pairs of panels";
      for (int size = 1; size < kTilePanelSizes; ++size) {
        for (int tokens = 2; tokens <= kMaxTileTokens; ++tokens) {
          if (ops.gemm[dtype][size][tokens] == nullptr) continue;
          EXPECT_NE(ops.gemm[dtype][size][tokens - 1], nullptr);
          EXPECT_NE(ops.gemm[dtype][size - 1][tokens], nullptr);
        }
      }
    }
  }
}

// What is printed is what the loops do: their numbers come from one place.
TEST(Isas, SayHowTheyTileBlockFormats) {
  EXPECT_EQ(block_tiling(op_table(Isa::kScalar), tensor::DType::kQ8_0, 3),
            "panels end to end as stored, tiles of 1 x 1");
  if (std::ranges::find(available_isas(), Isa::kAvx2) != available_isas().end()) {
    EXPECT_EQ(block_tiling(op_table(Isa::kAvx2), tensor::DType::kQ8_0, 2),
              "panels end to end as stored, two at once, tiles of 2 x 1");
  }
  for (Isa isa : available_isas()) {
    const OpTable& ops = op_table(isa);
    for (int dtype = tensor::kFloatDTypes; dtype < tensor::kDTypes; ++dtype) {
      const BlockTiles& tiles = ops.blocks->tiles[dtype];
      EXPECT_GE(tiles.tokens, 1);
      EXPECT_GE(tiles.stored_tokens, 1);
      EXPECT_LE(tiles.stored_tokens, tiles.few_tokens);
      EXPECT_LE(tiles.pair_tokens, tiles.stored_tokens);
      EXPECT_LE(tiles.panels_ahead, tiles.list_panels);
      EXPECT_LE(tiles.list_panels, kMaxBlockPanels);
      EXPECT_EQ(tiles.list_panels % 2, 0);  // gate and up in pairs
      EXPECT_LE(tiles.panels_ahead_many, tiles.panels_ahead);
      const auto format = static_cast<tensor::DType>(dtype);
      EXPECT_EQ(block_tiling(ops, format, kMaxItemTokens).find("matrix unit") != std::string::npos,
                tiles.matrix_tokens > 0);
    }
  }
}

}  // namespace
}  // namespace sluice::kernels
