#include "models/load_pieces.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "kernels/packed.h"

namespace sluice::models {
namespace {

// Reading over less than this costs a disk no more than another request.
constexpr int64_t kLargestGap = int64_t{64} << 10;

int64_t unit_rows(const TensorSlot& slot) {
  if (slot.rotary_heads == 0) return kernels::kPanelRows;
  return std::lcm(kernels::kPanelRows, slot.shape[0] / slot.rotary_heads);
}

}  // namespace

std::vector<LoadPiece> cut(std::span<const FileTensor> tensors, int64_t most_bytes) {
  std::vector<LoadPiece> pieces;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const FileTensor& tensor = tensors[i];
    LoadPiece piece{.tensor = i, .file = tensor.file};
    if (!tensor.slot->is_matrix()) {
      piece.offset = tensor.offset;
      piece.bytes = tensor.bytes;
      pieces.push_back(piece);
      continue;
    }
    const int64_t rows = tensor.slot->shape[0], row_bytes = tensor.bytes / rows;
    const int64_t unit = unit_rows(*tensor.slot);
    const int64_t at_once = std::max<int64_t>(most_bytes / (unit * row_bytes), 1) * unit;
    for (int64_t row = 0; row < rows; row += at_once) {
      piece.first_row = row;
      piece.rows = std::min(at_once, rows - row);
      piece.offset = tensor.offset + row * row_bytes;
      piece.bytes = piece.rows * row_bytes;
      pieces.push_back(piece);
    }
  }
  std::ranges::sort(pieces, {}, [](const LoadPiece& piece) {
    return std::tuple(piece.file, piece.offset, piece.tensor);
  });
  return pieces;
}

std::vector<LoadRun> runs_of(std::span<const LoadPiece> pieces, int64_t most_bytes) {
  std::vector<LoadRun> runs;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const LoadPiece& piece = pieces[i];
    if (!runs.empty()) {
      LoadRun& run = runs.back();
      const int64_t end = run.extent.offset + run.extent.bytes;
      const int64_t whole = piece.offset + piece.bytes - run.extent.offset;
      if (piece.file == run.extent.file && piece.offset - end <= kLargestGap &&
          whole <= most_bytes) {
        run.extent.bytes = std::max(run.extent.bytes, whole);
        ++run.count;
        continue;
      }
    }
    runs.push_back({i, 1, {piece.file, piece.offset, piece.bytes}});
  }
  return runs;
}

}  // namespace sluice::models
