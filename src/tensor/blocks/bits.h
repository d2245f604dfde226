// The few ways in which ggml's blocks lay codes and scales into bytes, and the way back for the
// formats that are written.
#pragma once

#include <cstdint>

#include "tensor/block.h"

namespace sluice::tensor {

inline uint16_t load_u16(const uint8_t* from) {
  return static_cast<uint16_t>(from[0] | from[1] << 8);
}

inline void put_u16(uint16_t value, uint8_t* to) {
  to[0] = static_cast<uint8_t>(value);
  to[1] = static_cast<uint8_t>(value >> 8);
}

// Codes of 4 bits: `count` from the bytes' low halves, then `count` from their high ones.
inline void take_nibbles(const uint8_t* from, int count, uint8_t* codes) {
  for (int k = 0; k < count; ++k) codes[k] = from[k] & 0xf;
  for (int k = 0; k < count; ++k) codes[count + k] = from[k] >> 4;
}

inline void put_nibbles(const uint8_t* codes, int count, uint8_t* to) {
  for (int k = 0; k < count; ++k) to[k] = static_cast<uint8_t>(codes[k] | codes[count + k] << 4);
}

// Codes of 2 bits: `count` from the bytes' lowest pair of bits, `count` from the next, four times.
inline void take_pairs(const uint8_t* from, int count, uint8_t* codes) {
  for (int pair = 0; pair < 4; ++pair) {
    for (int k = 0; k < count; ++k) codes[pair * count + k] = (from[k] >> 2 * pair) & 3;
  }
}

// One more bit for the 32 codes of one run: bit `bit` of each of 32 bytes becomes the codes' `to`.
inline void take_bits(const uint8_t* from, int bit, int to, uint8_t* codes) {
  for (int k = 0; k < 32; ++k)
    codes[k] = static_cast<uint8_t>(codes[k] | ((from[k] >> bit) & 1) << to);
}

// Fifth bits of 32 codes, code k's in bit k.
inline void take_fifth_bits(const uint8_t* from, uint8_t* codes) {
  for (int k = 0; k < 32; ++k)
    codes[k] = static_cast<uint8_t>(codes[k] | ((from[k / 8] >> (k % 8)) & 1) << 4);
}

// The scale and minimum of a format whose only scale is the block's own.
inline void one_group(uint16_t d, BlockParts* parts) {
  parts->d = d;
  parts->dmin = 0;
  parts->scale[0] = 1;
  parts->min[0] = 0;
}

// The same with a stored minimum that is added: w = d * c + m.
inline void one_group_and_minimum(uint16_t d, uint16_t m, BlockParts* parts) {
  one_group(d, parts);
  parts->dmin = m ^ 0x8000u;
  parts->min[0] = 1;
}

// Groups of a format that has no minimum.
inline void no_minimum(int groups, BlockParts* parts) {
  parts->dmin = 0;
  for (int group = 0; group < groups; ++group) parts->min[static_cast<size_t>(group)] = 0;
}

// Eight scales and eight minima of 6 bits in 12 bytes, of Q4_K and Q5_K. The first four of each
// have a byte of their own, whose two spare bits are the upper ones of the last four.
inline void take_six_bit_scales(const uint8_t* from, BlockParts* parts) {
  for (size_t g = 0; g < 4; ++g) {
    const uint8_t scale = from[g], min = from[4 + g], low = from[8 + g];
    parts->scale[g] = static_cast<int8_t>(scale & 0x3f);
    parts->min[g] = min & 0x3f;
    parts->scale[4 + g] = static_cast<int8_t>((low & 0xf) | (scale >> 6) << 4);
    parts->min[4 + g] = static_cast<uint8_t>((low >> 4) | (min >> 6) << 4);
  }
}

inline void put_six_bit_scales(const BlockParts& parts, uint8_t* to) {
  for (size_t g = 0; g < 4; ++g) {
    const int scale = parts.scale[4 + g], min = parts.min[4 + g];
    to[g] = static_cast<uint8_t>(parts.scale[g] | (scale >> 4) << 6);
    to[4 + g] = static_cast<uint8_t>(parts.min[g] | (min >> 4) << 6);
    to[8 + g] = static_cast<uint8_t>((scale & 0xf) | (min & 0xf) << 4);
  }
}

}  // namespace sluice::tensor
