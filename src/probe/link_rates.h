// How fast the links between host and device are: each direction alone, and while the other is busy
// too.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/error.h"
#include "device/link.h"
#include "hardware/hardware.h"

namespace sluice::probe {

struct LinkRate {
  double bytes_per_second = 0;           // of a large transfer, the latency taken off
  double together_bytes_per_second = 0;  // the same while the other direction is busy
  double latency_us = 0;                 // of a transfer of one byte
};

struct LinkRates {
  LinkRate host_to_device, device_to_host;
};

// Takes about so long in all. Errors: what Link::move says.
Result<LinkRates> measure_links(const device::Links& links, int64_t time_ms,
                                const base::Clock& clock = base::steady_clock());

// In place of what `hardware` states of the links between its first host and its first device,
// which it has.
void set_links(hardware::Hardware& hardware, const LinkRates& rates);

}  // namespace sluice::probe
