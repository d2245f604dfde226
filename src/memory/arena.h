// One reservation of memory, made before the first token, from which named regions are cut. Nothing
// is given back before the arena itself goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace sluice::memory {

struct ArenaOptions {
  bool huge_pages = false;  // ask for transparent 2 MiB pages
  bool populate = false;    // touch every page now, so that the first token does not
  // Memory nodes from which its pages come in turn (base/numa.h). Fewer than two: the system places
  // them.
  std::vector<int> interleave_over = {};
};

struct ArenaRegion {
  std::string name;
  int64_t offset = 0;  // from the arena's begin, guards not counted
  int64_t bytes = 0;
  bool operator==(const ArenaRegion&) const = default;
};

class Arena {
 public:
  static constexpr int64_t kMaxRegions = 4096;
  static constexpr int64_t kMaxAlignment = 4096;
  static constexpr int64_t kReservationAlignment = int64_t{2} << 20;

  // Reserves `bytes` of zeroed memory, aligned to 2 MiB. kNoRoom when the system refuses.
  static Result<Arena> create(int64_t bytes, const ArenaOptions& options = {});

  Arena() = default;  // holds nothing
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  // `bytes` at an address that is a multiple of `alignment` (a power of two, at most
  // kMaxAlignment). The arena keeps owning them. Sizes come from the plan: what does not fit is a
  // bug and aborts.
  std::span<std::byte> allocate(std::string name, int64_t bytes, int64_t alignment = 64);

  int64_t capacity() const { return capacity_; }
  int64_t used() const { return used_; }  // padding between regions included
  const std::vector<ArenaRegion>& regions() const { return regions_; }
  // Its pages come from the nodes asked for; false also where the system refused that.
  bool interleaved() const { return interleaved_; }

  // One line per region, and one for the whole.
  std::string describe() const;

 private:
  void release() noexcept;

  std::byte* begin_ = nullptr;
  int64_t mapped_bytes_ = 0;
  int64_t capacity_ = 0;
  int64_t used_ = 0;
  bool interleaved_ = false;
  std::vector<ArenaRegion> regions_;
};

}  // namespace sluice::memory
