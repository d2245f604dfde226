// Device calls through io_uring: one system call hands over what has gathered, one waits; memory
// and files that are registered are not looked up for each read.
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/units.h"
#include "io/device_queue.h"

namespace sluice::io {
namespace {

constexpr int64_t kMaxBufferBytes = int64_t{1} << 30;  // the kernel's limit of one
constexpr size_t kMaxBuffers = 16384;                  // and of their number
constexpr int kUnsubmittedWaitMs = 1;  // until a kernel short of memory is asked again

class UringQueue : public DeviceQueue {
 public:
  // Made in two steps, since either may fail.
  explicit UringQueue(int depth) : depth_(depth) {}
  std::optional<std::string> set_up();
  ~UringQueue() override;

  Backend backend() const override { return Backend::kUring; }
  int depth() const override { return depth_; }
  std::optional<std::string> register_file(FileId file, int fd) override;
  std::optional<std::string> register_memory(std::span<std::byte> memory) override;
  void start(int slot, const DeviceCall& call) override;
  void flush() override;
  size_t collect(std::span<DeviceResult> out, int64_t timeout_ms, bool& woken) override;
  void wake() override;

 private:
  int buffer_of(const DeviceCall& call) const;
  size_t reap(std::span<DeviceResult> out);
  bool block(int64_t timeout_ms);

  int depth_;
  io_uring ring_{};
  bool ring_made_ = false;
  int wake_fd_ = -1;
  int out_ = 0;  // started and not reaped
  bool file_table_ = false;
  std::vector<bool> file_registered_ = std::vector<bool>(kMaxFiles, false);
  std::vector<iovec> buffers_;  // by address
  bool buffers_registered_ = false;
};

std::optional<std::string> UringQueue::set_up() {
  if (const int made = io_uring_queue_init(static_cast<unsigned>(depth_), &ring_, 0); made < 0) {
    return std::string("the kernel refuses io_uring (") + std::strerror(-made) + ")";
  }
  ring_made_ = true;
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  const auto has = [probe](int call) { return io_uring_opcode_supported(probe, call) != 0; };
  const bool able = probe != nullptr && has(IORING_OP_READ) && has(IORING_OP_READ_FIXED) &&
                    has(IORING_OP_WRITE) && has(IORING_OP_WRITE_FIXED);
  if (probe != nullptr) io_uring_free_probe(probe);
  if (!able) return "the kernel's io_uring is too old to read (Linux 5.6 can)";
  wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) return std::string("no eventfd to wake it with: ") + std::strerror(errno);
  // A sparse table: descriptors are put in as files are opened.
  const std::vector<int> none(static_cast<size_t>(kMaxFiles), -1);
  file_table_ = io_uring_register_files(&ring_, none.data(), static_cast<unsigned>(kMaxFiles)) == 0;
  return std::nullopt;
}

UringQueue::~UringQueue() {
  // The kernel goes on with the callers' memory until a call has ended, ring or no ring.
  while (out_ > 0) {
    io_uring_submit_and_wait(&ring_, 1);
    io_uring_cqe* ended = nullptr;
    while (io_uring_peek_cqe(&ring_, &ended) == 0) {
      io_uring_cqe_seen(&ring_, ended);
      --out_;
    }
  }
  if (ring_made_) io_uring_queue_exit(&ring_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

std::optional<std::string> UringQueue::register_file(FileId file, int fd) {
  if (!file_table_) return "the kernel refuses a table of " + std::to_string(kMaxFiles) + " files";
  const int put = io_uring_register_files_update(&ring_, static_cast<unsigned>(file), &fd, 1);
  if (put < 0) return std::string(std::strerror(-put));
  file_registered_[file] = true;
  return std::nullopt;
}

std::optional<std::string> UringQueue::register_memory(std::span<std::byte> memory) {
  // The kernel takes all buffers at once, so those of before are given again.
  std::vector<iovec> wanted = buffers_;
  for (size_t at = 0; at < memory.size(); at += static_cast<size_t>(kMaxBufferBytes)) {
    const size_t bytes = std::min(memory.size() - at, static_cast<size_t>(kMaxBufferBytes));
    wanted.push_back({memory.data() + at, bytes});
  }
  if (wanted.size() > kMaxBuffers) return "it is more than the kernel can register";
  std::ranges::sort(wanted, {}, &iovec::iov_base);
  if (buffers_registered_) io_uring_unregister_buffers(&ring_);
  const auto give = [&](const std::vector<iovec>& all) {
    return io_uring_register_buffers(&ring_, all.data(), static_cast<unsigned>(all.size()));
  };
  const int given = give(wanted);
  if (given == 0) {
    buffers_ = std::move(wanted);
    buffers_registered_ = true;
    return std::nullopt;
  }
  buffers_registered_ = !buffers_.empty() && give(buffers_) == 0;
  rlimit locked{};
  if (given == -ENOMEM && ::getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
    return base::format_bytes(static_cast<double>(memory.size())) +
           " are more than may be locked (" +
           base::format_bytes(static_cast<double>(locked.rlim_cur)) +
           "); raise RLIMIT_MEMLOCK, as with ulimit -l";
  }
  return std::string(std::strerror(-given));
}

// The registered buffer that holds all of a call's memory, or -1.
int UringQueue::buffer_of(const DeviceCall& call) const {
  if (!buffers_registered_) return -1;
  const auto after =
      std::ranges::upper_bound(buffers_, static_cast<void*>(call.memory), {}, &iovec::iov_base);
  if (after == buffers_.begin()) return -1;
  const iovec& before = *(after - 1);
  const auto* end = static_cast<const std::byte*>(before.iov_base) + before.iov_len;
  return call.memory + call.bytes <= end ? static_cast<int>(after - 1 - buffers_.begin()) : -1;
}

void UringQueue::start(int slot, const DeviceCall& call) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  SLUICE_CHECK(entry != nullptr, "the ring has an entry for each slot");
  const bool registered = file_registered_[call.file];
  const int fd = registered ? call.file : call.fd;
  const auto bytes = static_cast<unsigned>(call.bytes);
  const auto offset = static_cast<uint64_t>(call.offset);
  const int buffer = buffer_of(call);
  if (call.writes && buffer >= 0) {
    io_uring_prep_write_fixed(entry, fd, call.memory, bytes, offset, buffer);
  } else if (call.writes) {
    io_uring_prep_write(entry, fd, call.memory, bytes, offset);
  } else if (buffer >= 0) {
    io_uring_prep_read_fixed(entry, fd, call.memory, bytes, offset, buffer);
  } else {
    io_uring_prep_read(entry, fd, call.memory, bytes, offset);
  }
  if (registered) io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data(entry, reinterpret_cast<void*>(static_cast<uintptr_t>(slot)));
  ++out_;
}

// What the kernel has no room for stays in the ring, and is offered again by the next call.
void UringQueue::flush() {
  if (io_uring_sq_ready(&ring_) == 0) return;
  const int handed = io_uring_submit(&ring_);
  SLUICE_CHECK(
      handed >= 0 || handed == -EAGAIN || handed == -EBUSY || handed == -EINTR || handed == -ENOMEM,
      "the kernel takes the entries of a ring that it made");
}

size_t UringQueue::reap(std::span<DeviceResult> out) {
  size_t count = 0;
  io_uring_cqe* ended = nullptr;
  while (count < out.size() && io_uring_peek_cqe(&ring_, &ended) == 0) {
    const auto slot = reinterpret_cast<uintptr_t>(io_uring_cqe_get_data(ended));
    out[count++] = {static_cast<int>(slot), ended->res};
    io_uring_cqe_seen(&ring_, ended);
    --out_;
  }
  return count;
}

// Until a call ends or wake() is called; true if it was called.
bool UringQueue::block(int64_t timeout_ms) {
  int64_t most = std::min<int64_t>(timeout_ms, INT32_MAX);
  if (io_uring_sq_ready(&ring_) > 0) most = std::min<int64_t>(most, kUnsubmittedWaitMs);
  pollfd ready[] = {{ring_.ring_fd, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  if (::poll(ready, 2, static_cast<int>(most)) <= 0 || (ready[1].revents & POLLIN) == 0)
    return false;
  uint64_t calls = 0;
  return ::read(wake_fd_, &calls, sizeof calls) == sizeof calls;
}

size_t UringQueue::collect(std::span<DeviceResult> out, int64_t timeout_ms, bool& woken) {
  flush();
  const size_t there = reap(out);
  if (there > 0 || timeout_ms == 0) return there;
  woken = block(timeout_ms);
  return reap(out);
}

void UringQueue::wake() {
  const uint64_t one = 1;
  // A full counter has woken it already.
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

}  // namespace

Result<std::unique_ptr<DeviceQueue>> make_uring_queue(int depth) {
  auto queue = std::make_unique<UringQueue>(depth);
  if (auto why = queue->set_up()) return Error{ErrorCode::kUnsupported, *why};
  return std::unique_ptr<DeviceQueue>(std::move(queue));
}

}  // namespace sluice::io
