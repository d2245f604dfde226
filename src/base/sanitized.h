// Whether this program is built with AddressSanitizer, which slows loops by ten times and has
// memory of its own: tests then do less of the same.
#pragma once

extern "C" void __attribute__((weak)) __asan_init();

namespace sluice::base {

inline bool address_sanitized() { return &__asan_init != nullptr; }

}  // namespace sluice::base
