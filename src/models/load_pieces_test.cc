#include "models/load_pieces.h"

#include <gtest/gtest.h>

namespace sluice::models {
namespace {

TensorSlot matrix(int64_t rows, int64_t cols, int rotary_heads = 0) {
  TensorSlot slot;
  slot.shape = {rows, cols};
  slot.rotary_heads = rotary_heads;
  return slot;
}

TEST(LoadPieces, CoverEveryRowOnceInWholePanels) {
  const TensorSlot large = matrix(100, 64), small = matrix(5, 64);
  const std::vector<FileTensor> tensors{{&large, 0, 1000, 100 * 256}, {&small, 0, 500, 5 * 256}};
  const auto pieces = cut(tensors, 40 * 256);
  const std::vector<LoadPiece> expected{{1, 0, 500, 5 * 256, 0, 5},
                                        {0, 0, 1000, 32 * 256, 0, 32},
                                        {0, 0, 1000 + 32 * 256, 32 * 256, 32, 32},
                                        {0, 0, 1000 + 64 * 256, 32 * 256, 64, 32},
                                        {0, 0, 1000 + 96 * 256, 4 * 256, 96, 4}};
  EXPECT_EQ(pieces, expected);
}

TEST(LoadPieces, HeadsWhoseRowsAreStoredInAnotherOrderStayWhole) {
  const TensorSlot q =
      matrix(240, 16, 10);  // heads of 24 rows: panels and heads end together at 48
  for (const LoadPiece& piece : cut(std::vector<FileTensor>{{&q, 0, 0, 240 * 64}}, 1)) {
    EXPECT_EQ(piece.rows, 48);
    for (int64_t row = piece.first_row; row < piece.first_row + piece.rows; ++row) {
      EXPECT_GE(stored_row(q, row), piece.first_row);
      EXPECT_LT(stored_row(q, row), piece.first_row + piece.rows);
    }
  }
}

TEST(LoadPieces, AVectorIsOnePiece) {
  TensorSlot norm;
  norm.shape = {4096};
  const auto pieces = cut(std::vector<FileTensor>{{&norm, 2, 64, 8192}}, 100);
  EXPECT_EQ(pieces, (std::vector<LoadPiece>{{0, 2, 64, 8192, 0, 0}}));
}

TEST(LoadRuns, TakeNeighboursTogetherUpToTheirLimitAndOverSmallGaps) {
  const int64_t far = int64_t{1} << 20;
  const std::vector<LoadPiece> pieces{{0, 0, 0, 100, 0, 1},
                                      {1, 0, 200, 100, 0, 1},
                                      {2, 0, 300, 800, 0, 1},
                                      {3, 0, far, 5000, 0, 1},
                                      {4, 1, far + 5000, 10, 0, 1}};
  const std::vector<LoadRun> expected{{0, 2, {0, 0, 300}},
                                      {2, 1, {0, 300, 800}},
                                      {3, 1, {0, far, 5000}},
                                      {4, 1, {1, far + 5000, 10}}};
  EXPECT_EQ(runs_of(pieces, 1000), expected);
  EXPECT_TRUE(runs_of({}, 1000).empty());
}

// Two entries of the table may stand for the same bytes of a file.
TEST(LoadRuns, HoldTheSameBytesTwiceIfTwoTensorsWantThem) {
  const std::vector<LoadPiece> pieces{{0, 0, 0, 500, 0, 1}, {1, 0, 0, 100, 0, 1}};
  EXPECT_EQ(runs_of(pieces, 1000), (std::vector<LoadRun>{{0, 2, {0, 0, 500}}}));
}

}  // namespace
}  // namespace sluice::models
