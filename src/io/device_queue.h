// What reads from the device and writes to it: io_uring, or threads. It knows slots, each with at
// most one call under way; requests, retries and the meaning of a short read are queue_reader's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "io/reader.h"

namespace sluice::io {

// One call of pread or pwrite, as it were.
struct DeviceCall {
  FileId file = 0;
  int fd = -1;
  int64_t offset = 0;
  int64_t bytes = 0;
  std::byte* memory = nullptr;  // a write leaves it alone
  bool writes = false;
};

// A call that ended: the bytes moved (of a read 0 at the end of the file), or -errno.
struct DeviceResult {
  int slot = 0;
  int64_t result = 0;
};

class DeviceQueue {
 public:
  // Waits for the calls under way.
  virtual ~DeviceQueue() = default;

  virtual Backend backend() const = 0;

  // How many calls may be under way: slots are 0 to depth() - 1.
  virtual int depth() const = 0;

  // Makes a file or memory known to the kernel; a sentence if that cannot be done, which hinders
  // no call. `memory` is called while nothing is under way.
  virtual std::optional<std::string> register_file(FileId file, int fd) = 0;
  virtual std::optional<std::string> register_memory(std::span<std::byte> memory) = 0;

  // Queues a call in a slot that is free; flush() sets those queued off.
  virtual void start(int slot, const DeviceCall& call) = 0;
  virtual void flush() = 0;

  // Ended calls go to `out`; their number. Without any it blocks until one ends, wake() is called,
  // or `timeout_ms` >= 0 have passed (0: does not block, and leaves a wake() to the next call).
  // `woken`: a wake() was taken in.
  virtual size_t collect(std::span<DeviceResult> out, int64_t timeout_ms, bool& woken) = 0;

  // From any thread.
  virtual void wake() = 0;
};

// Errors: kUnsupported, io_uring does not work here, and why.
Result<std::unique_ptr<DeviceQueue>> make_uring_queue(int depth);

std::unique_ptr<DeviceQueue> make_thread_queue(int depth);

}  // namespace sluice::io
