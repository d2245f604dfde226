// Every element type that a file of weights may name, whether or not sluice computes with it: the
// layout of a file can be checked only when the size of each of its tensors is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace sluice::weights {

struct StoredDType {
  const char* name;    // as the format calls it: "BF16", "Q4_K"
  int block_elements;  // elements that are stored together; 1 but for packed and block types
  int block_bytes;
  std::optional<tensor::DType> readable;  // nothing: legal in a file, refused when asked for

  // Of the first byte of a tensor, so that a mapped view can be read as its element type.
  int alignment() const { return block_elements == 1 ? block_bytes : 1; }
};

// The safetensors type of that name, or null. The result lives as long as the program.
const StoredDType* find_stored_dtype(std::string_view name);

// The GGUF type of that number, or null. Numbers of types that GGUF has given up are null.
const StoredDType* find_gguf_dtype(uint32_t number);

// The entry that a safetensors file uses for `dtype`, a float format.
const StoredDType& stored_as(tensor::DType dtype);

// Bytes of a tensor of these dims, or nothing if their product overflows or is no whole number of
// blocks. A zero anywhere makes a tensor empty, whatever its other sizes are.
std::optional<int64_t> stored_bytes(const std::vector<int64_t>& dims, const StoredDType& dtype);

}  // namespace sluice::weights
