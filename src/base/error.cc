#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace sluice::base {

const char* name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kNoRoom:
      return "no_room";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kFault:
      return "fault";
  }
  check_failed("known code", "an ErrorCode outside its enum", __FILE__, __LINE__);
}

void check_failed(const char* condition, const char* message, const char* file, int line) {
  std::fprintf(stderr, "sluice: bug: %s (%s) at %s:%d\n", message, condition, file, line);
  std::abort();
}

}  // namespace sluice::base
