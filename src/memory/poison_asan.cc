#include <sanitizer/asan_interface.h>

#include "memory/poison.h"

namespace sluice::memory {

int64_t guard_bytes() { return 4096; }

void poison(std::byte* begin, int64_t bytes) {
  __asan_poison_memory_region(begin, static_cast<size_t>(bytes));
}

void unpoison(std::byte* begin, int64_t bytes) {
  __asan_unpoison_memory_region(begin, static_cast<size_t>(bytes));
}

}  // namespace sluice::memory
