// A bug, not a caller's mistake: says what was broken, where, and aborts.
#pragma once

namespace sluice::base {
[[noreturn]] void check_failed(const char* condition, const char* message, const char* file,
                               int line);
}  // namespace sluice::base

// Always on; the message is a `const char*` that says what must hold.
#define SLUICE_CHECK(condition, message) \
  (static_cast<bool>(condition)          \
       ? void(0)                         \
       : ::sluice::base::check_failed(#condition, message, __FILE__, __LINE__))
