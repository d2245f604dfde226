// A fast 64-bit hash of bytes, the same on every machine, for identities and the id index. Not
// cryptographic: where two different things must not be taken for one, the bytes are compared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::batch {

uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0);

// Sixteen lower-case hexadecimal digits.
std::string hex(uint64_t value);

// Two seeds' hashes of a stream, however it is cut: the identity of an input.
class StreamHash {
 public:
  void add(std::string_view bytes);
  std::string digest() const;  // 32 hexadecimal digits

 private:
  static constexpr size_t kChunkBytes = 64 << 10;
  void take(std::string_view chunk);

  std::string pending_;  // less than one chunk
  uint64_t low_ = 1, high_ = 2, bytes_ = 0;
};

}  // namespace sluice::batch
