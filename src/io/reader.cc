#include "io/reader.h"

#include "base/check.h"
#include "io/device_queue.h"
#include "io/queue_reader.h"

namespace sluice::io {
namespace {

Status check(const char* option, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return {};
  return Error{ErrorCode::kInvalid, std::string("a reader's ") + option + " must be " +
                                        std::to_string(least) + " to " + std::to_string(most) +
                                        ", not " + std::to_string(value)};
}

}  // namespace

const char* name(Backend backend) {
  switch (backend) {
    case Backend::kUring:
      return "io_uring";
    case Backend::kThreads:
      return "threads";
  }
  base::check_failed("known backend", "a Backend outside its enum", __FILE__, __LINE__);
}

Result<std::unique_ptr<Reader>> Reader::create(const ReaderOptions& options) {
  SLUICE_TRY(check("queue_depth", options.queue_depth, 1, kMaxQueueDepth));
  SLUICE_TRY(check("read_bytes", options.read_bytes, kDirectAlignment, kMaxReadBytes));
  SLUICE_TRY(check("max_requests", options.max_requests, 1, kMaxRequests));
  if (options.read_bytes % kDirectAlignment != 0) {
    return Error{ErrorCode::kInvalid, "a reader's read_bytes must be a multiple of " +
                                          std::to_string(kDirectAlignment) + ", not " +
                                          std::to_string(options.read_bytes)};
  }
  std::vector<std::string> notes;
  std::unique_ptr<DeviceQueue> queue;
  if (options.make_queue) {
    queue = options.make_queue(options.queue_depth);
  } else if (options.backend != Backend::kThreads) {
    auto uring = make_uring_queue(options.queue_depth);
    if (uring.ok()) {
      queue = std::move(*uring);
    } else if (options.backend == Backend::kUring) {
      return Error{uring.error().code, "io_uring does not work here: " + uring.error().message};
    } else {
      notes.push_back("reads go through threads: " + uring.error().message);
    }
  }
  if (queue == nullptr) queue = make_thread_queue(options.queue_depth);
  return std::unique_ptr<Reader>(
      std::make_unique<QueueReader>(options, std::move(queue), std::move(notes)));
}

}  // namespace sluice::io
