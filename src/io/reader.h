// Asynchronous reads of large files, for weights that stream from disk, and writes of scratch
// files, for what does not find room in memory: many requests in flight, past the page cache where
// the file system allows it. README.md here states who owns what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace sluice::io {

class Faults;
class DeviceQueue;

inline constexpr int64_t kDirectAlignment = 4096;  // of a direct read's offset, size and address
inline constexpr int64_t kMaxFiles = 512;          // open in one reader
inline constexpr int kMaxQueueDepth = 1024;
inline constexpr int64_t kMaxReadBytes = int64_t{1} << 30;
inline constexpr int64_t kMaxRequests = int64_t{1} << 20;

enum class Backend : uint8_t { kUring, kThreads };
const char* name(Backend backend);  // "io_uring", "threads"

// Of a file that is open in a reader; counts from 0.
using FileId = int32_t;

struct ReaderOptions {
  std::optional<Backend> backend;  // none: io_uring where it works here, else threads
  int queue_depth = 16;            // device calls in flight, at most; threads: also at most 64
  int64_t read_bytes = 1 << 20;    // larger requests are split into calls of this size; a multiple
                                   // of kDirectAlignment
  bool direct = true;              // O_DIRECT where the file system allows it
  int64_t max_requests = 256;      // submitted and not yet reported: bounded
  Faults* faults = nullptr;        // faults.h; borrowed, outlives the reader
  // What reads and writes in the system's place (device_queue.h), given the depth: for simulators.
  std::function<std::unique_ptr<DeviceQueue>(int)> make_queue;
  const base::Clock* clock = &base::steady_clock();  // stalls and timeouts go by it
};

// `bytes` bytes from `offset` of the file go to `memory`, which the caller owns and leaves alone
// until the request is reported, or the reader is gone; or, of a scratch file alone, from there to
// the file. `user` comes back with the completion. Requests that are out at the same time do not
// wait for each other: who writes what another reads waits for the first one's end.
//
// Of a direct file, offset, bytes and `memory` are multiples of kDirectAlignment. The one
// exception: a read that ends where the file ended when it was opened may have any size; `memory`
// then has room for that size rounded up to kDirectAlignment, and what lies behind the last byte is
// overwritten with anything.
struct Request {
  FileId file = 0;
  int64_t offset = 0;
  int64_t bytes = 0;  // at least 1
  std::byte* memory = nullptr;
  uint64_t user = 0;
  bool writes = false;
};

// Errors: kIo, the device or file system refused; kCorrupt, the file ends too soon. Both name the
// file, the offset and the size. After a read `memory` then holds nothing of use, after a write the
// file there.
struct Completion {
  uint64_t user = 0;
  Status status;
};

// One thread owns a reader: it makes every call but wake(). Another may become the owner while no
// request is out. Nothing is allocated per request, but for the text of errors.
class Reader {
 public:
  // Errors: kInvalid, an option outside its limits; kUnsupported, the backend asked for does not
  // work here (the sentence says why).
  static Result<std::unique_ptr<Reader>> create(const ReaderOptions& options);

  // Waits for the device calls in flight, since they use the callers' memory; what has not been
  // started is dropped.
  virtual ~Reader() = default;

  // Opens a regular file or a block device, which stays open as long as the reader; registered
  // with the kernel where the backend can. Errors: kNotFound, kIo, kInvalid (a directory, a pipe),
  // kNoRoom (kMaxFiles are open).
  virtual Result<FileId> open(const std::filesystem::path& path) = 0;

  // Makes a file of `bytes` bytes in this directory that has no name and is gone with the reader,
  // or the process, whatever ends it; its room on the disk is taken now. Errors: kNotFound, kIo
  // (the directory), kNoRoom (of the disk, or kMaxFiles are open).
  virtual Result<FileId> open_scratch(const std::filesystem::path& directory, int64_t bytes) = 0;

  // Memory that requests will use often, such as an arena: pinned and known to the kernel
  // where the backend can, so that reads need not look up its pages. It stays mapped until the
  // reader is gone. May be called again for other memory. Where it cannot be done, requests work
  // all the same and notes() says why. Errors: kInvalid, empty memory, or requests are out.
  virtual Status register_memory(std::span<std::byte> memory) = 0;

  // Starts a request, or queues it behind those submitted before. Errors, and nothing is started:
  // kNoRoom when max_requests are out; kInvalid, no such file, no bytes, unaligned for a direct
  // file, or a write of a file that is no scratch file, or beyond its end.
  virtual Status submit(const Request& request) = 0;

  // Fills `out` with finished requests, in the order in which they finished, and returns how many.
  // Without any it waits `timeout_ms` (0: not at all; negative: without limit). 0 after the timeout
  // or after wake().
  virtual size_t wait(std::span<Completion> out, int64_t timeout_ms) = 0;

  // From any thread: a wait() that would block, now or the next time, returns soon.
  virtual void wake() = 0;

  virtual Backend backend() const = 0;

  // Whether an open file is used past the page cache, so that its requests must be aligned.
  virtual bool direct(FileId) const { return false; }

  // Why not io_uring, not direct, not registered; empty if all is as wished.
  virtual std::string notes() const = 0;
};

}  // namespace sluice::io
