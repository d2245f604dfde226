// How much memory this program's heap holds. For tests.
#pragma once

#include <malloc.h>

#include <cstddef>
#include <cstdint>

// The sanitizers' own heap counts for itself.
extern "C" size_t __attribute__((weak)) __sanitizer_get_current_allocated_bytes();

namespace sluice::text::testdata {

inline int64_t held_bytes() {
  if (&__sanitizer_get_current_allocated_bytes != nullptr)
    return static_cast<int64_t>(__sanitizer_get_current_allocated_bytes());
  const auto heap = ::mallinfo2();
  return static_cast<int64_t>(heap.uordblks + heap.hblkhd);
}

// What each of `rounds` calls of `body` leaves behind, once it has been called twice. The C library
// counts up to 250 KiB that it keeps for the next small pieces as held.
template <class Body>
int64_t left_by_each(int rounds, const Body& body) {
  body();
  body();
  const int64_t before = held_bytes();
  for (int i = 0; i < rounds; ++i) body();
  return (held_bytes() - before) / rounds;
}

}  // namespace sluice::text::testdata
