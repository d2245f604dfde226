// Loads tensors of a checkpoint: large reads into buffers of a fixed size, and all threads packing
// what has come while the next is read.
#pragma once

#include <span>

#include "base/error.h"
#include "base/thread_team.h"
#include "models/load_options.h"
#include "models/load_pieces.h"
#include "tensor/dtype.h"
#include "weights/mapped_file.h"

namespace sluice::models {

struct CheckpointTensor {
  FileTensor at;
  tensor::DType stored = tensor::DType::kF32, dtype = tensor::DType::kF32;
  std::byte* into = nullptr;  // as of WeightSource::read
};

// Errors name the file, and the tensor where one cannot be packed; others say what ReadStream does.
Status load_checkpoint(std::span<const CheckpointTensor> tensors,
                       std::span<const weights::MappedFile> files, base::ThreadTeam& team,
                       const LoadOptions& options);

}  // namespace sluice::models
