// The seam where tests and simulators make a device fail: asked when its memory is reserved, and
// once for each transfer and each task of its compute lane, before it starts, on the lane's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace sluice::device {

enum class Direction : uint8_t { kToDevice, kToHost };

// What is about to cross a link.
struct TransferInfo {
  Direction direction = Direction::kToDevice;
  int64_t bytes = 0;
  std::optional<int64_t> page;  // of weights: which; none: rows of a micro-batch
};

// What befalls it.
struct Fault {
  bool fails = false;    // after its time: nothing of use has arrived
  int64_t stall_ms = 0;  // it takes so much longer

  bool operator==(const Fault&) const = default;
};

class Faults {
 public:
  virtual ~Faults() = default;
  virtual Fault of_transfer(const TransferInfo& transfer) = 0;
  // Whether a task fails: after its time, with nothing of use computed.
  virtual bool task_fails() { return false; }
  // How much of the device's memory there really is to reserve.
  virtual int64_t memory_bytes(int64_t capacity_bytes) { return capacity_bytes; }
};

}  // namespace sluice::device
