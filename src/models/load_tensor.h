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

// So many panels are worth handing to a thread.
constexpr int64_t kPanelsPerTask = 8;

// Rows of a stored matrix that lie one behind the other, in the order in which they are stored.
struct StoredRows {
  tensor::DType dtype = tensor::DType::kF32;
  int64_t cols = 0;
  const std::byte* data = nullptr;  // of row `first`
  int64_t first = 0, count = 0;  // counted in the part of the tensor that a TensorSlot stands for
};

// Packs `panels` panels from `first_panel` on as `dtype`, converting where rows are stored as
// another, to `packed`, where the first of them goes. `stored` has all rows that they need. False
// if `dtype` cannot hold a value.
bool pack_panels(const StoredRows& stored, const TensorSlot& tensor, tensor::DType dtype,
                 int64_t first_panel, int64_t panels, std::byte* packed);
// What is said of that tensor then.
Error cannot_hold(const TensorSlot& tensor, tensor::DType dtype);

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
