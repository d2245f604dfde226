#include "io/device_queue.h"

namespace sluice::io {

Result<std::unique_ptr<DeviceQueue>> make_uring_queue(int) {
  return Error{ErrorCode::kUnsupported,
               "this program was built without liburing; install liburing-dev and build it again"};
}

}  // namespace sluice::io
