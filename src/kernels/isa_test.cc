#include <algorithm>
#include <cstdio>

#include "kernels/each_isa.h"
#include "kernels/op_table.h"

namespace sluice::kernels {
namespace {

constexpr Isa kAll[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16,
                        Isa::kAmxInt8};

TEST(Isas, SaysWhichOnesDoNotRunHere) {
  const auto have = available_isas();
  ASSERT_EQ(have.front(), Isa::kScalar);
  EXPECT_EQ(best_isa(), have.back());
  for (Isa isa : kAll) {
    EXPECT_EQ(parse_isa(name(isa)), isa);
    if (std::find(have.begin(), have.end(), isa) == have.end()) {
      std::printf("[   ISA    ] %s: not on this CPU, so no kernel was tested on it\n", name(isa));
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

}  // namespace
}  // namespace sluice::kernels
