#include "tensor/block.h"

#include <cstring>

#include "base/check.h"
#include "tensor/blocks/format.h"
#include "tensor/float.h"

namespace sluice::tensor {
namespace {

const BlockFormat& format(DType dtype) {
  const BlockFormat* found = format_of(dtype);
  SLUICE_CHECK(found != nullptr, "a block format");
  return *found;
}

void widen(const BlockTraits& traits, const BlockParts& parts, int elements, float* to) {
  const float d =
      traits.scale == BlockScale::kE8M0 ? e8m0_half_to_f32(parts.d) : f16_to_f32(parts.d);
  const float dmin = f16_to_f32(parts.dmin);
  for (int first = 0, group = 0; first < elements; first += traits.group, ++group) {
    const float scale = d * static_cast<float>(parts.scale[static_cast<size_t>(group)]);
    // +0 where there is no minimum; taking it away changes no value, not even -0.
    const float min = dmin * static_cast<float>(parts.min[static_cast<size_t>(group)]);
    const uint8_t* code = parts.code.data() + first;
    for (int k = 0; k < traits.group; ++k) {
      const int value = traits.values != nullptr ? traits.values[code[k]] : code[k] - traits.offset;
      to[first + k] = scale * static_cast<float>(value) - min;
    }
  }
}

template <float (*kConvert)(uint16_t)>
void widen_halves(const std::byte* from, int64_t elements, float* to) {
  for (int64_t i = 0; i < elements; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    to[i] = kConvert(bits);
  }
}

}  // namespace

const BlockTraits& block_traits(DType dtype) {
  SLUICE_CHECK(is_block_format(dtype), "a block format");
  return kBlockTraits[static_cast<size_t>(dtype)];
}

void take_apart(DType dtype, const std::byte* block, BlockParts* parts) {
  format(dtype).take_apart(reinterpret_cast<const uint8_t*>(block), parts);
}

void dequantize(DType dtype, const std::byte* from, int64_t elements, float* to) {
  SLUICE_CHECK(elements % info(dtype).block_elements == 0, "whole blocks");
  if (dtype == DType::kF32) {
    std::memcpy(to, from, static_cast<size_t>(elements) * sizeof(float));
  } else if (dtype == DType::kF16) {
    widen_halves<f16_to_f32>(from, elements, to);
  } else if (is_bf16(dtype)) {
    widen_halves<bf16_to_f32>(from, elements, to);
  } else {
    const BlockFormat& of = format(dtype);
    const DTypeInfo& size = info(dtype);
    const auto* block = reinterpret_cast<const uint8_t*>(from);
    BlockParts parts;
    for (int64_t done = 0; done < elements; done += size.block_elements) {
      of.take_apart(block, &parts);
      widen(block_traits(dtype), parts, size.block_elements, to + done);
      block += size.block_bytes;
    }
  }
}

}  // namespace sluice::tensor
