// For tests: machines with a device, to be emulated.
#pragma once

#include <string>
#include <tuple>

#include "hardware/hardware.h"

namespace sluice::device {

// Memory without end, and levels and links of so many bytes a second that nobody waits for the
// arithmetic. By default for nothing else either.
inline hardware::Hardware test_machine(const std::string& name = "fast", double host = 1e15,
                                       double there = 1e15, double link = 1e15) {
  hardware::Hardware machine{.name = name};
  for (const auto& [level, kind, bytes_per_second] :
       {std::tuple{"host", hardware::LevelKind::kHost, host},
        std::tuple{"device", hardware::LevelKind::kDevice, there}}) {
    machine.levels.push_back(
        {.name = level,
         .kind = kind,
         .capacity_bytes = int64_t{1} << 40,
         .read_bytes_per_second = bytes_per_second,
         .compute = hardware::Compute{
             .model = "none", .isa = "none", .threads = 1, .peak_flops = {{"f32", 1e15}}}});
  }
  machine.links = {{.from = "host", .to = "device", .bytes_per_second = link},
                   {.from = "device", .to = "host", .bytes_per_second = link}};
  return machine;
}

}  // namespace sluice::device
