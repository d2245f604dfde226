#include "batch/hash.h"

#include <cstring>

namespace sluice::batch {
namespace {

constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
constexpr uint64_t kOdd2 = 0xD6E8FEB86659FD93u;

uint64_t rotate(uint64_t value, int bits) { return (value << bits) | (value >> (64 - bits)); }

// Every input bit reaches every output bit.
uint64_t finish(uint64_t value) {
  value = (value ^ (value >> 32)) * kOdd2;
  value = (value ^ (value >> 29)) * kOdd1;
  return value ^ (value >> 32);
}

uint64_t word_at(const char* bytes) {
  uint64_t word = 0;
  for (int i = 0; i < 8; ++i) word |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return word;
}

}  // namespace

uint64_t hash_bytes(std::string_view bytes, uint64_t seed) {
  uint64_t state = finish(seed + kOdd1) ^ (bytes.size() * kOdd2);
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8)
    state = rotate(state ^ (word_at(bytes.data() + at) * kOdd2), 27) * kOdd1;
  char tail[8] = {};
  if (at < bytes.size()) std::memcpy(tail, bytes.data() + at, bytes.size() - at);
  state = rotate(state ^ (word_at(tail) * kOdd2), 27) * kOdd1;
  return finish(state);
}

std::string hex(uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; value >>= 4) text[i] = kDigits[value & 15];
  return text;
}

void StreamHash::take(std::string_view chunk) {
  low_ = hash_bytes(chunk, low_);
  high_ = hash_bytes(chunk, high_ ^ kOdd2);
}

void StreamHash::add(std::string_view bytes) {
  bytes_ += bytes.size();
  if (!pending_.empty()) {
    const size_t wanted = std::min(kChunkBytes - pending_.size(), bytes.size());
    pending_.append(bytes.substr(0, wanted));
    bytes.remove_prefix(wanted);
    if (pending_.size() < kChunkBytes) return;
    take(pending_);
    pending_.clear();
  }
  for (; bytes.size() >= kChunkBytes; bytes.remove_prefix(kChunkBytes))
    take(bytes.substr(0, kChunkBytes));
  pending_.assign(bytes);
}

std::string StreamHash::digest() const {
  StreamHash end = *this;
  end.take(pending_);
  return hex(hash_bytes(std::to_string(bytes_), end.low_)) + hex(end.high_);
}

}  // namespace sluice::batch
