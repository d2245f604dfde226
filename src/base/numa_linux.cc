#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "base/check.h"
#include "base/numa.h"

namespace sluice::base {

// By number: the C library has no names for these calls, and libnuma would be needed for them
// alone.
bool interleave(std::byte* begin, int64_t bytes, std::span<const int> nodes) {
  constexpr int kWordBits = sizeof(unsigned long) * CHAR_BIT;
  std::array<unsigned long, kMaxNumaNodes / kWordBits> mask{};
  for (const int node : nodes) {
    SLUICE_CHECK(node >= 0 && node < kMaxNumaNodes, "a memory node has a number below the limit");
    mask[static_cast<size_t>(node / kWordBits)] |= 1ul << (node % kWordBits);
  }
  // The kernel takes one bit less than it is told.
  return ::syscall(SYS_mbind, begin, static_cast<unsigned long>(bytes), MPOL_INTERLEAVE,
                   mask.data(), static_cast<unsigned long>(kMaxNumaNodes) + 1, 0u) == 0;
}

std::optional<std::vector<int>> nodes_of_pages(const std::byte* begin, int64_t bytes) {
  const int64_t page = ::sysconf(_SC_PAGESIZE);
  std::vector<const std::byte*> addresses;
  for (int64_t at = 0; at < bytes; at += page) addresses.push_back(begin + at);
  std::vector<int> nodes(addresses.size(), -1);
  // Without a list of nodes nothing moves; the kernel tells where each page is, or an error for it.
  if (::syscall(SYS_move_pages, 0, addresses.size(), addresses.data(), nullptr, nodes.data(), 0) !=
      0) {
    return std::nullopt;
  }
  for (int& node : nodes) node = node < 0 ? -1 : node;
  return nodes;
}

}  // namespace sluice::base
