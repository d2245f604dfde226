#include "sim/virtual_disk.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace sluice::sim {
namespace {

// As a float of any width: not a number.
constexpr int kPoison = 0xff;
constexpr int64_t kHangMs = 3'600'000;

class VirtualQueue final : public io::DeviceQueue {
 public:
  VirtualQueue(World& world, int64_t read_ns, int depth)
      : world_(world), read_ns_(read_ns), calls_(static_cast<size_t>(depth)) {}

  io::Backend backend() const override { return io::Backend::kThreads; }
  int depth() const override { return static_cast<int>(calls_.size()); }
  std::optional<std::string> register_file(io::FileId, int) override { return std::nullopt; }
  std::optional<std::string> register_memory(std::span<std::byte>) override { return std::nullopt; }

  void start(int slot, const io::DeviceCall& call) override {
    const int64_t delay = world_.random.delay_ns(read_ns_);
    if (!call.writes) std::memset(call.memory, kPoison, static_cast<size_t>(call.bytes));
    calls_[static_cast<size_t>(slot)] = {call,
                                         world_.clock.now() + std::chrono::nanoseconds(delay)};
    world_.clock.set_alarm(calls_[static_cast<size_t>(slot)]->end);
  }
  void flush() override {}

  size_t collect(std::span<io::DeviceResult> out, int64_t timeout_ms, bool& woken) override {
    size_t count = 0;
    // Those that have ended are reported in a drawn order.
    const auto first = static_cast<size_t>(world_.random.below(depth()));
    for (size_t i = 0; i < calls_.size() && count < out.size(); ++i) {
      const size_t slot = (first + i) % calls_.size();
      std::optional<Call>& call = calls_[slot];
      if (!call || call->end > world_.clock.now()) continue;
      out[count++] = {static_cast<int>(slot), world_.dead() ? -EIO : make(call->what)};
      call.reset();
    }
    // It cannot block: who would is woken, and looks again when the time has come.
    if (count == 0 && timeout_ms != 0) {
      if (timeout_ms > 0) look_again(world_.clock.now() + std::chrono::milliseconds(timeout_ms));
      woken = true;
    }
    return count;
  }
  void wake() override {}

 private:
  struct Call {
    io::DeviceCall what;
    base::Clock::time_point end;
  };

  // At every alarm all lanes look, and come here again, so an earlier alarm is enough. Were there
  // one for each call, each would bring forth the next, and they would pile up while a read hangs.
  void look_again(base::Clock::time_point then) {
    const auto next = world_.clock.next_alarm();
    if (!next || *next > then) world_.clock.set_alarm(then);
  }

  static int64_t make(const io::DeviceCall& call) {
    const auto bytes = static_cast<size_t>(call.bytes);
    const ssize_t moved = call.writes ? ::pwrite(call.fd, call.memory, bytes, call.offset)
                                      : ::pread(call.fd, call.memory, bytes, call.offset);
    return moved < 0 ? -int64_t{errno} : moved;
  }

  World& world_;
  const int64_t read_ns_;
  std::vector<std::optional<Call>> calls_;  // by slot
};

}  // namespace

bool DrawnFaults::drawn(double chance, Happening happening, const std::string& place) {
  if (!world_.random.chance(chance)) return false;
  ++world_.counts[happening];
  world_.event(std::string("disk: ") + name(happening) + " at " + place);
  return true;
}

// What may befall a read and a write alike, and passes, or hangs.
std::optional<io::Fault> DrawnFaults::of_either(const std::string& place, int64_t bytes) {
  if (drawn(trouble_.error, Happening::kReadError, place)) {
    ++missed_;
    return io::Fault{.error = EIO};
  }
  if (drawn(trouble_.again, Happening::kReadError, place)) return io::Fault{.error = EAGAIN};
  if (drawn(trouble_.is_short, Happening::kShortRead, place))
    return io::Fault{.most_bytes = 1 + world_.random.below(bytes)};
  if (drawn(trouble_.stall, Happening::kStall, place))
    return io::Fault{.stall_ms = world_.random.between(1, 2000)};
  if (drawn(trouble_.hangs, Happening::kHungDisk, place)) {
    lasting_ = true;
    return io::Fault{.stall_ms = kHangMs};
  }
  return std::nullopt;
}

io::Fault DrawnFaults::of_read(io::FileId file, int64_t offset, int64_t bytes) {
  const std::pair at{file, offset};
  if (unreadable_.contains(at)) return {.error = EIO};
  if (flipped_.contains(at)) return {.flipped_bit = 4711 % (bytes * 8)};
  const std::string place = "file " + std::to_string(file) + " offset " + std::to_string(offset);
  if (const auto fault = of_either(place, bytes)) return *fault;
  if (drawn(trouble_.flipped, Happening::kFlippedBit, place)) {
    ++missed_;
    return {.flipped_bit = world_.random.below(bytes * 8)};
  }
  if (drawn(trouble_.bad_page, Happening::kBadPage, place)) {
    lasting_ = true;
    const bool unreadable = world_.random.chance(0.5);
    (unreadable ? unreadable_ : flipped_).insert(at);
    return of_read(file, offset, bytes);
  }
  return {};
}

io::Fault DrawnFaults::of_write(io::FileId file, int64_t offset, int64_t bytes) {
  const std::string place =
      "file " + std::to_string(file) + " offset " + std::to_string(offset) + ", written";
  return of_either(place, bytes).value_or(io::Fault{});
}

std::unique_ptr<io::DeviceQueue> make_virtual_queue(World& world, int64_t read_ns, int depth) {
  return std::make_unique<VirtualQueue>(world, read_ns, depth);
}

}  // namespace sluice::sim
