#include "kernels/packed_block.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "tensor/block.h"
#include "tensor/float.h"

namespace sluice::kernels {
namespace {

using tensor::BlockParts;
using tensor::BlockScale;
using tensor::BlockTraits;
using tensor::DType;

// `mask` repeated in the four bytes of a step.
constexpr uint32_t each(uint32_t mask) { return mask * 0x01010101u; }

// Fields of the steps [first, last), `bits` wide, taken from bit `from` of each code and laid side
// by side.
uint32_t gather(const uint32_t (&steps)[kSpanSteps], int first, int last, int bits, int from) {
  const uint32_t mask = each((1u << bits) - 1);
  uint32_t chunk = 0;
  for (int s = first; s < last; ++s) chunk |= ((steps[s] >> from) & mask) << ((s - first) * bits);
  return chunk;
}

// One row's part of a span's chunks: four bytes of each.
void pack_span(const uint32_t (&steps)[kSpanSteps], int code_bits, std::byte* span, int64_t lane) {
  int chunk = 0;
  const auto put = [&](uint32_t bytes) {
    std::memcpy(span + chunk++ * kChunkBytes + lane * 4, &bytes, 4);
  };
  const auto put_nibbles = [&] {
    for (int c = 0; c < 4; ++c) put((steps[c] & each(0x0f)) | ((steps[c + 4] & each(0x0f)) << 4));
  };
  switch (code_bits) {
    case 8:
      for (uint32_t step : steps) put(step);
      return;
    case 4:
      return put_nibbles();
    case 5:
      put_nibbles();
      return put(gather(steps, 0, 8, 1, 4));
    case 6:
      put_nibbles();
      put(gather(steps, 0, 4, 2, 4));
      return put(gather(steps, 4, 8, 2, 4));
    case 2:
      put(gather(steps, 0, 4, 2, 0));
      return put(gather(steps, 4, 8, 2, 0));
    case 3:
      put(gather(steps, 0, 4, 2, 0));
      put(gather(steps, 4, 8, 2, 0));
      return put(gather(steps, 0, 8, 1, 2));
    default:
      SLUICE_CHECK(false, "a width of codes that block_layout.h describes");
  }
}

void pack_scales(const BlockTraits& traits, const BlockParts& parts, std::byte* unit,
                 int64_t lane) {
  if (traits.scale == BlockScale::kE8M0) {
    unit[lane] = static_cast<std::byte>(parts.d);
    return;
  }
  std::memcpy(unit + lane * 2, &parts.d, 2);
  if (traits.has_min) std::memcpy(unit + kPanelRows * 2 + lane * 2, &parts.dmin, 2);
  if (traits.scale == BlockScale::kHalf) return;
  std::byte* to = unit + kPanelRows * 2 * (traits.has_min ? 2 : 1) + lane;
  for (int g = 0; g < 256 / traits.group; ++g) {
    const auto at = static_cast<size_t>(g);
    const auto scale = static_cast<uint8_t>(parts.scale[at]);
    if (traits.nibble_scales) {
      *to = static_cast<std::byte>(scale | (parts.min[at] << 4));
      to += kPanelRows;
      continue;
    }
    *to = static_cast<std::byte>(scale);
    to += kPanelRows;
    if (!traits.has_min) continue;
    *to = static_cast<std::byte>(parts.min[at]);
    to += kPanelRows;
  }
}

void pack_lane(DType dtype, int64_t cols, const std::byte* row, std::byte* packed, int64_t lane) {
  const BlockTraits& traits = tensor::block_traits(dtype);
  const tensor::DTypeInfo& info = tensor::info(dtype);
  std::byte* scales = packed + code_bytes(traits, cols);
  BlockParts parts;
  for (int64_t k = 0; k < cols; k += info.block_elements) {
    tensor::take_apart(dtype, row, &parts);
    row += info.block_bytes;
    for (int i = 0; i < info.block_elements; i += kSpan) {
      uint32_t steps[kSpanSteps];
      std::memcpy(steps, parts.code.data() + i, sizeof steps);
      pack_span(steps, traits.code_bits, packed + (k + i) / kSpan * traits.code_bits * kChunkBytes,
                lane);
    }
    pack_scales(traits, parts, scales + k / scale_unit_cols(traits) * scale_unit_bytes(traits),
                lane);
  }
}

}  // namespace

int64_t block_panel_bytes(DType dtype, int64_t cols) {
  const BlockTraits& traits = tensor::block_traits(dtype);
  SLUICE_CHECK(cols % tensor::info(dtype).block_elements == 0, "columns are whole blocks");
  const int64_t bytes =
      code_bytes(traits, cols) + cols / scale_unit_cols(traits) * scale_unit_bytes(traits);
  return (bytes + kPackAlignment - 1) / kPackAlignment * kPackAlignment;
}

void pack_block_panel(DType dtype, int64_t cols, const std::byte* const (&rows)[kPanelRows],
                      std::byte* packed) {
  static_assert(std::endian::native == std::endian::little, "a step is four bytes in order");
  // What no row or unit fills: rows past the end, and the padding behind the scales.
  std::memset(packed, 0, static_cast<size_t>(block_panel_bytes(dtype, cols)));
  for (int64_t lane = 0; lane < kPanelRows; ++lane) {
    if (rows[lane] != nullptr) pack_lane(dtype, cols, rows[lane], packed, lane);
  }
}

void unpack_block_lane(DType dtype, int64_t cols, const std::byte* panel, int64_t lane,
                       float* out) {
  const BlockPanelReader reader(dtype, cols, panel);
  const int64_t group = reader.traits().group;
  for (int64_t k = 0; k < cols; k += group) {
    const float scale = reader.scale(lane, k / group);
    const float min = reader.min(lane, k / group);
    for (int64_t i = k; i < k + group; ++i) {
      const float product = scale * static_cast<float>(reader.value(lane, i));
      out[i] = reader.traits().has_min ? product - min : product;
    }
  }
}

BlockPanelReader::BlockPanelReader(DType dtype, int64_t cols, const std::byte* panel)
    : traits_(tensor::block_traits(dtype)), panel_(panel), scales_(code_bytes(traits_, cols)) {}

int BlockPanelReader::code(int64_t lane, int64_t k) const {
  const int64_t span = k / kSpan * traits_.code_bits * kChunkBytes;
  const auto step = static_cast<int>(k % kSpan / 4);
  const auto at = [&](int chunk) { return byte(span + chunk * kChunkBytes + lane * 4 + k % 4); };
  const int nibble_shift = step / 4 * 4;
  const int pair_shift = step % 4 * 2;
  switch (traits_.code_bits) {
    case 8:
      return at(step);
    case 4:
      return (at(step % 4) >> nibble_shift) & 15;
    case 5:
      return ((at(step % 4) >> nibble_shift) & 15) | (((at(4) >> step) & 1) << 4);
    case 6:
      return ((at(step % 4) >> nibble_shift) & 15) | (((at(4 + step / 4) >> pair_shift) & 3) << 4);
    case 2:
      return (at(step / 4) >> pair_shift) & 3;
    case 3:
      return ((at(step / 4) >> pair_shift) & 3) | (((at(2) >> step) & 1) << 2);
    default:
      SLUICE_CHECK(false, "a width of codes that block_layout.h describes");
  }
  return 0;
}

int16_t BlockPanelReader::value(int64_t lane, int64_t k) const {
  const int c = code(lane, k);
  return static_cast<int16_t>(traits_.values != nullptr ? traits_.values[c] : c - traits_.offset);
}

float BlockPanelReader::half(int64_t offset) const {
  uint16_t bits = 0;
  std::memcpy(&bits, panel_ + offset, 2);
  return tensor::f16_to_f32(bits);
}

float BlockPanelReader::scale(int64_t lane, int64_t group) const {
  const int64_t unit =
      scales_ + group * traits_.group / scale_unit_cols(traits_) * scale_unit_bytes(traits_);
  if (traits_.scale == BlockScale::kE8M0) return tensor::e8m0_half_to_f32(byte(unit + lane));
  const float d = half(unit + lane * 2);
  if (traits_.scale == BlockScale::kHalf) return d;
  const int64_t fields = traits_.has_min ? 2 : 1;
  const int64_t bytes_per_group = traits_.nibble_scales ? 1 : fields;
  const int64_t at = unit + kPanelRows * 2 * fields +
                     group % (256 / traits_.group) * bytes_per_group * kPanelRows + lane;
  const int scale = traits_.nibble_scales ? byte(at) & 15 : static_cast<int8_t>(byte(at));
  return d * static_cast<float>(scale);
}

float BlockPanelReader::min(int64_t lane, int64_t group) const {
  if (!traits_.has_min) return 0.0f;
  const int64_t unit =
      scales_ + group * traits_.group / scale_unit_cols(traits_) * scale_unit_bytes(traits_);
  const float dmin = half(unit + kPanelRows * 2 + lane * 2);
  if (traits_.scale == BlockScale::kHalf) return dmin;
  const int64_t g = group % (256 / traits_.group);
  const int64_t fields = unit + kPanelRows * 4 + lane;
  const int min = traits_.nibble_scales ? byte(fields + g * kPanelRows) >> 4
                                        : byte(fields + (g * 2 + 1) * kPanelRows);
  return dmin * static_cast<float>(min);
}

}  // namespace sluice::kernels
