// One tensor from its checkpoint into memory.
#pragma once

#include "base/error.h"
#include "base/thread_team.h"
#include "kernels/packed.h"
#include "models/tensors.h"
#include "tensor/view.h"

namespace sluice::models {

// What a tensor takes once it is packed as `dtype`; vectors are f32.
int64_t bytes_in_memory(const TensorSlot& tensor, tensor::DType dtype);

// Packs a matrix as `dtype` into `data`, packed_bytes() long, converting where it is stored as
// another. `stored` is the part of the stored tensor that `tensor` stands for, its rows in the
// order in which they are stored. Without a team on the calling thread alone. Errors: a value that
// `dtype` cannot hold.
Result<kernels::PackedMatrix> load_matrix(const tensor::TensorView& stored,
                                          const TensorSlot& tensor, tensor::DType dtype,
                                          std::byte* data, base::ThreadTeam* team);

// A vector as f32, in `out` [elements].
void load_vector(const tensor::TensorView& stored, const TensorSlot& tensor, float* out);

}  // namespace sluice::models
