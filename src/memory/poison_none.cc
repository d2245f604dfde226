#include "memory/poison.h"

namespace sluice::memory {

int64_t guard_bytes() { return 0; }

void poison(std::byte*, int64_t) {}

void unpoison(std::byte*, int64_t) {}

}  // namespace sluice::memory
