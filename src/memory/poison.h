// Tells the address sanitizer which bytes of an arena may be touched. Two files stand behind this
// header: poison_asan.cc in builds with -fsanitize=address, poison_none.cc in all others.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::memory {

// Bytes that an arena leaves unreadable after each region: 0 without the sanitizer, a page with it.
int64_t guard_bytes();

// Any access to [begin, begin + bytes) is a bug from now on.
void poison(std::byte* begin, int64_t bytes);

void unpoison(std::byte* begin, int64_t bytes);

}  // namespace sluice::memory
