#include "memory/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/numa.h"
#include "base/rounding.h"
#include "base/units.h"
#include "memory/poison.h"

namespace sluice::memory {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 47;  // of user address space

// Maps `bytes` at a multiple of 2 MiB by mapping more and giving back both ends.
std::byte* map_aligned(int64_t bytes) {
  const int64_t padded = bytes + Arena::kReservationAlignment;
  void* address = mmap(nullptr, static_cast<size_t>(padded), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return nullptr;
  auto* raw = static_cast<std::byte*>(address);
  const auto misfit = static_cast<int64_t>(reinterpret_cast<uintptr_t>(raw) %
                                           static_cast<uintptr_t>(Arena::kReservationAlignment));
  const int64_t head = misfit == 0 ? 0 : Arena::kReservationAlignment - misfit;
  const int64_t tail = padded - head - bytes;
  if (head > 0) munmap(raw, static_cast<size_t>(head));
  if (tail > 0) munmap(raw + head + bytes, static_cast<size_t>(tail));
  return raw + head;
}

void touch_pages(std::byte* begin, int64_t bytes) {
  if (madvise(begin, static_cast<size_t>(bytes), MADV_POPULATE_WRITE) == 0) return;
  // Kernels before 5.14 do not know that advice.
  const int64_t page = sysconf(_SC_PAGESIZE);
  for (int64_t at = 0; at < bytes; at += page) {
    *static_cast<volatile std::byte*>(begin + at) = std::byte{0};
  }
}

}  // namespace

Result<Arena> Arena::create(int64_t bytes, const ArenaOptions& options) {
  if (bytes <= 0 || bytes > kMaxBytes) {
    return Error{ErrorCode::kInvalid, "an arena of " + std::to_string(bytes) +
                                          " bytes cannot be reserved; its size must be positive"};
  }
  const int64_t mapped = base::round_up(bytes + kMaxRegions * guard_bytes(), kMaxAlignment);
  std::byte* begin = map_aligned(mapped);
  if (begin == nullptr) {
    return Error{ErrorCode::kNoRoom, "the system refuses to reserve " +
                                         base::format_bytes(static_cast<double>(bytes)) + " (" +
                                         std::strerror(errno) +
                                         "); give less memory to the cache or a smaller batch"};
  }
  // Advice: where the kernel has no huge pages, small ones do.
  if (options.huge_pages) madvise(begin, static_cast<size_t>(mapped), MADV_HUGEPAGE);
  Arena arena;
  arena.interleaved_ = options.interleave_over.size() > 1 &&
                       base::interleave(begin, mapped, options.interleave_over);
  if (options.populate) touch_pages(begin, bytes);
  poison(begin, mapped);
  arena.begin_ = begin;
  arena.mapped_bytes_ = mapped;
  arena.capacity_ = bytes;
  return arena;
}

Arena::Arena(Arena&& other) noexcept { *this = std::move(other); }

Arena& Arena::operator=(Arena&& other) noexcept {
  if (this == &other) return *this;
  release();
  begin_ = std::exchange(other.begin_, nullptr);
  mapped_bytes_ = std::exchange(other.mapped_bytes_, 0);
  capacity_ = std::exchange(other.capacity_, 0);
  used_ = std::exchange(other.used_, 0);
  interleaved_ = std::exchange(other.interleaved_, false);
  regions_ = std::exchange(other.regions_, {});
  return *this;
}

Arena::~Arena() { release(); }

void Arena::release() noexcept {
  if (begin_ == nullptr) return;
  unpoison(begin_, mapped_bytes_);  // the addresses may be mapped again by others
  munmap(begin_, static_cast<size_t>(mapped_bytes_));
  begin_ = nullptr;
}

std::span<std::byte> Arena::allocate(std::string name, int64_t bytes, int64_t alignment) {
  SLUICE_CHECK(alignment > 0 && (alignment & (alignment - 1)) == 0 && alignment <= kMaxAlignment,
               "an arena region's alignment is a power of two up to kMaxAlignment");
  const auto count = static_cast<int64_t>(regions_.size());
  SLUICE_CHECK(count < kMaxRegions, "an arena has at most kMaxRegions regions");
  const int64_t offset = base::round_up(used_, alignment);
  SLUICE_CHECK(bytes >= 0 && offset <= capacity_ && bytes <= capacity_ - offset,
               "an arena holds every region that the plan counted");
  used_ = offset + bytes;
  regions_.push_back({std::move(name), offset, bytes});
  // A guard is a multiple of every alignment, so that offsets are the same in every build.
  std::byte* at = begin_ + offset + count * guard_bytes();
  unpoison(at, bytes);
  return {at, static_cast<size_t>(bytes)};
}

std::string Arena::describe() const {
  std::string text;
  for (const ArenaRegion& region : regions_) {
    text += region.name + ": " + base::format_bytes(static_cast<double>(region.bytes)) + " at " +
            std::to_string(region.offset) + "\n";
  }
  return text + "total: " + base::format_bytes(static_cast<double>(used_)) + " of " +
         base::format_bytes(static_cast<double>(capacity_)) + "\n";
}

}  // namespace sluice::memory
