// A tensor somebody else owns: row-major, contiguous, up to four dimensions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace sluice::tensor {

struct Shape {
  static constexpr int kMaxRank = 4;
  std::array<int64_t, kMaxRank> dims{};
  int rank = 0;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) {
    SLUICE_CHECK(sizes.size() <= kMaxRank, "a tensor has at most four dimensions");
    for (int64_t size : sizes) dims[static_cast<size_t>(rank++)] = size;
  }
  int64_t operator[](int axis) const { return dims[static_cast<size_t>(axis)]; }
  int64_t elements() const {
    int64_t product = 1;
    for (int axis = 0; axis < rank; ++axis) product *= (*this)[axis];
    return product;
  }
  bool operator==(const Shape&) const = default;
};

// "[32000, 4096]"
std::string to_string(const Shape& shape);

struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  const std::byte* data = nullptr;

  int64_t bytes() const { return storage_bytes(dtype, shape.elements()); }
};

}  // namespace sluice::tensor
