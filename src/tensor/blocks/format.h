// What a block format's file provides, and the list of them. Layouts are ggml's, as GGUF files have
// them; numbers are little-endian.
#pragma once

#include <cstdint>

#include "tensor/block.h"

namespace sluice::tensor {

struct BlockFormat {
  BlockTraits traits;
  void (*take_apart)(const uint8_t* block, BlockParts* parts);
  // One block of values that are finite and at most kMaxQuantized; null for formats that are only
  // read.
  void (*quantize)(const float* values, uint8_t* block) = nullptr;
};

// Null for the float types.
const BlockFormat* format_of(DType dtype);

extern const BlockFormat kQ8_0Format;
extern const BlockFormat kQ4_0Format;
extern const BlockFormat kQ4_1Format;
extern const BlockFormat kQ5_0Format;
extern const BlockFormat kQ5_1Format;
extern const BlockFormat kQ2_KFormat;
extern const BlockFormat kQ3_KFormat;
extern const BlockFormat kQ4_KFormat;
extern const BlockFormat kQ5_KFormat;
extern const BlockFormat kQ6_KFormat;
extern const BlockFormat kIQ4_NLFormat;
extern const BlockFormat kIQ4_XSFormat;
extern const BlockFormat kMXFP4Format;

}  // namespace sluice::tensor
