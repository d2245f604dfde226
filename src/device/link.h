// One direction between the host's memory and a device's, as whoever measures it sees it: the same
// of an emulated device and of one that is here.
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "device/emulated.h"

namespace sluice::device {

class Link {
 public:
  virtual ~Link() = default;

  // Moves `bytes` bytes, 1 to most_bytes(), from memory at one end to memory at the other, and
  // returns when all are there. One thread at a time. Errors: what the device says.
  virtual Status move(int64_t bytes) = 0;
  virtual int64_t most_bytes() const = 0;
};

struct Links {
  std::unique_ptr<Link> host_to_device, device_to_host;
};

// Those of an emulated device, with `most_bytes` of memory at each end of each: bytes are copied,
// and the link is paced as its lane is. `clock` is borrowed.
Links emulated_links(const EmulatedDevice& device, int64_t most_bytes,
                     const base::Clock& clock = base::steady_clock());

}  // namespace sluice::device
