// What memory is measured with.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/numa.h"
#include "base/units.h"

namespace sluice::probe {

// In large pages where the system has them, and over all memory nodes, as weights lie; or from the
// nodes that are named.
class MemoryArray {
 public:
  static constexpr int64_t kChunkFloats = int64_t{1} << 20;
  static constexpr int64_t kChunkBytes = kChunkFloats * int64_t{sizeof(float)};

  // kNoRoom if the system refuses.
  static Result<MemoryArray> create(int64_t chunks,
                                    std::vector<int> nodes = base::own_nodes_to_interleave()) {
    void* mapped = ::mmap(nullptr, static_cast<size_t>(chunks * kChunkBytes),
                          PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
      return Error{ErrorCode::kNoRoom, "no memory to measure its bandwidth with: " +
                                           base::format_bytes(double(chunks * kChunkBytes)) +
                                           " are needed"};
    }
    MemoryArray array(static_cast<float*>(mapped), chunks);
    (void)::madvise(mapped, array.bytes(), MADV_HUGEPAGE);
    if (!nodes.empty()) {
      (void)base::interleave(static_cast<std::byte*>(mapped), chunks * kChunkBytes, nodes);
    }
    return array;
  }
  MemoryArray(MemoryArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), chunks_(other.chunks_) {}
  MemoryArray& operator=(MemoryArray&&) = delete;
  ~MemoryArray() {
    if (data_ != nullptr) ::munmap(data_, bytes());
  }

  float* chunk(int64_t index) const { return data_ + index * kChunkFloats; }
  int64_t chunks() const { return chunks_; }

 private:
  MemoryArray(float* data, int64_t chunks) : data_(data), chunks_(chunks) {}
  size_t bytes() const { return static_cast<size_t>(chunks_ * kChunkBytes); }
  float* data_;
  int64_t chunks_;
};

// Keeps the compiler from dropping loops whose results nobody reads.
class Sink {
 public:
  void take(float value) { bits_.fetch_xor(static_cast<uint32_t>(value != 0.0f)); }

 private:
  std::atomic<uint32_t> bits_{0};
};

}  // namespace sluice::probe
