// How fast the disk under a directory is read, and how: with reads of which size, and how many of
// them under way at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "hardware/hardware.h"
#include "io/reader.h"

namespace sluice::probe {

struct DiskReadOptions {
  std::filesystem::path directory;
  // Of the file that is written, read and removed; shorter where writing it takes too long.
  int64_t file_bytes = int64_t{512} << 20;
  int64_t time_ms = 8000;              // of everything, writing included
  std::optional<io::Backend> backend;  // none: the better one that works here
};

struct DiskReadRates {
  std::vector<hardware::DiskRate> rates;  // of 64 KiB to 4 MiB and depths of 1 to 32, as time
                                          // allowed; by size, then depth
  hardware::DiskRate chosen;
  int64_t capacity_bytes = 0;  // of the file system
  std::string method;          // "io_uring, direct"
  std::string directory;       // absolute
  std::string notes;           // what the reader had to do without
};

// Of the rates within 3 % of the best the one with the fewest bytes under way, and of those the one
// with the fewest reads. `rates` is not empty.
hardware::DiskRate choose(std::span<const hardware::DiskRate> rates);

// Errors: kInvalid, not a directory; kNoRoom, the file does not fit; kIo, it cannot be written or
// read. The file is gone in either case.
Result<DiskReadRates> measure_disk_read(const DiskReadOptions& options);

// The level "disk" of hardware.json, in place of the one that `hardware` has.
void set_disk(hardware::Hardware& hardware, const DiskReadRates& rates);

}  // namespace sluice::probe
