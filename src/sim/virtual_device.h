// What goes wrong with an emulated device and its links. Its lanes' runners are the real ones.
#pragma once

#include "device/faults.h"
#include "sim/world.h"

namespace sluice::sim {

struct DeviceTrouble {
  double fault = 0;      // how likely a transfer or a task of the device fails
  double stall = 0;      // how likely a transfer takes some milliseconds longer
  bool is_full = false;  // less of its memory can be reserved than it is said to have
};

class DrawnDeviceFaults final : public device::Faults {
 public:
  DrawnDeviceFaults(World& world, const DeviceTrouble& trouble)
      : world_(world), trouble_(trouble) {}
  device::Fault of_transfer(const device::TransferInfo& transfer) override;
  bool task_fails() override;
  int64_t memory_bytes(int64_t capacity_bytes) override;

  // Whether a run may end with an error, and a request with one.
  bool failed() const { return failed_; }
  // Whether a model may have found no room.
  bool short_of_memory() const { return short_of_memory_; }

 private:
  bool drawn(double chance, Happening happening, const char* what);

  World& world_;
  const DeviceTrouble trouble_;
  bool failed_ = false, short_of_memory_ = false;
};

}  // namespace sluice::sim
