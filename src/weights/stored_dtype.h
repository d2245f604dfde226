// Every element type that a safetensors file may name, whether or not sluice computes with it: the
// layout of a file can be checked only when the size of each of its tensors is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace sluice::weights {

struct StoredDType {
  const char* name;                       // as the file writes it: "BF16"
  int bits;                               // of one element; 4 and 6 are packed
  std::optional<tensor::DType> readable;  // nothing: legal in a file, refused when asked for
};

// The type of that name, or null. The result lives as long as the program.
const StoredDType* find_stored_dtype(std::string_view name);

// The entry that a file uses for `dtype`.
const StoredDType& stored_as(tensor::DType dtype);

}  // namespace sluice::weights
