// Block formats for the kernels' tests and their benchmark: the shapes, and random blocks.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/cases.h"

namespace sluice::kernels {

inline std::vector<tensor::DType> block_formats() {
  std::vector<tensor::DType> formats;
  for (tensor::DType dtype : tensor::all_dtypes())
    if (tensor::is_block_format(dtype)) formats.push_back(dtype);
  return formats;
}

inline std::string format_name(const testing::TestParamInfo<tensor::DType>& info) {
  return tensor::info(info.param).name;
}

// Edges of panels; one span, a slab less one, a slab and a span, in whole blocks.
inline std::vector<LinearCase> block_shapes(tensor::DType dtype) {
  if (tensor::info(dtype).block_elements == 256)
    return {{1, 256}, {16, 512}, {33, 768}, {272, 256}};
  return {{1, 32}, {15, 64}, {16, 224}, {17, 256}, {33, 288}, {48, 544}, {272, 96}};
}

}  // namespace sluice::kernels
