// How the tensors of a checkpoint are cut for loading: into pieces that can be packed by
// themselves, and runs of a file that are read at a time. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/read_stream.h"
#include "models/tensors.h"

namespace sluice::models {

// A tensor in its file: of a matrix the rows that the entry of the table stands for.
struct FileTensor {
  const TensorSlot* slot = nullptr;
  int file = 0;
  int64_t offset = 0, bytes = 0;
};

// Whole panels of a matrix, or a whole vector.
struct LoadPiece {
  size_t tensor = 0;  // index into what was cut
  int file = 0;
  int64_t offset = 0, bytes = 0;
  int64_t first_row = 0, rows = 0;  // of a vector: no rows
  bool operator==(const LoadPiece&) const = default;
};

// At most `most_bytes` each, but at least as many rows as fill panels and whole heads where rows
// are stored in another order. In the order of the files, where every byte stands once.
std::vector<LoadPiece> cut(std::span<const FileTensor> tensors, int64_t most_bytes);

// Neighbouring pieces, from `first` on, of one file: its bytes from the first's to the last's.
struct LoadRun {
  size_t first = 0, count = 0;
  io::Extent extent;
  bool operator==(const LoadRun&) const = default;
};

// Of at most `most_bytes` or one piece. What lies between pieces is read with them if it is little.
std::vector<LoadRun> runs_of(std::span<const LoadPiece> pieces, int64_t most_bytes);

}  // namespace sluice::models
