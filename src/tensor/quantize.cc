#include "tensor/quantize.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "tensor/blocks/format.h"
#include "tensor/float.h"

namespace sluice::tensor {
namespace {

// Positive floats are ordered as their bits are, NaN above all; an integer maximum vectorizes.
bool all_within(const float* values, int64_t elements, float limit) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < elements; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7fffffffu);
  return largest <= std::bit_cast<uint32_t>(limit);
}

template <uint16_t (*kConvert)(float)>
void narrow(const float* from, int64_t elements, std::byte* to) {
  for (int64_t i = 0; i < elements; ++i) {
    const uint16_t bits = kConvert(from[i]);
    std::memcpy(to + 2 * i, &bits, sizeof bits);
  }
}

}  // namespace

bool can_quantize(DType dtype) {
  const BlockFormat* format = format_of(dtype);
  return format == nullptr || format->quantize != nullptr;
}

bool quantize(DType to, const float* from, int64_t elements, std::byte* to_bytes) {
  SLUICE_CHECK(can_quantize(to), "a format that is written");
  const DTypeInfo& size = info(to);
  SLUICE_CHECK(elements % size.block_elements == 0, "whole blocks");
  const bool wide = to == DType::kF32 || is_bf16(to);
  // Half of bf16's last place below f32's end, bf16 would round to infinity.
  const float most = is_bf16(to) ? 0x1.fep127f : std::numeric_limits<float>::max();
  if (!all_within(from, elements, wide ? most : kMaxQuantized)) return false;
  if (to == DType::kF32) {
    std::memcpy(to_bytes, from, static_cast<size_t>(elements) * sizeof(float));
  } else if (to == DType::kF16) {
    narrow<f32_to_f16>(from, elements, to_bytes);
  } else if (is_bf16(to)) {
    narrow<f32_to_bf16>(from, elements, to_bytes);
  } else {
    const BlockFormat& format = *format_of(to);
    auto* block = reinterpret_cast<uint8_t*>(to_bytes);
    for (int64_t done = 0; done < elements; done += size.block_elements) {
      format.quantize(from + done, block);
      block += size.block_bytes;
    }
  }
  return true;
}

}  // namespace sluice::tensor
