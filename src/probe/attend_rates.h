// What attention reaches with few and many queries for each key, by what the cache keeps.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "hardware/hardware.h"
#include "kernels/exec.h"
#include "kernels/kv_layout.h"

namespace sluice::probe {

struct AttendRateOptions {
  std::vector<kernels::KvDType> formats;
  std::vector<int64_t> queries;  // that share a key, growing; up to 8 are heads, the rest rows
  std::vector<int64_t> rows;     // of a sequence that are stored at a time, growing
  // Heads that keep keys, and keys of a sequence, as models and batches of today have them.
  int kv_heads = 8, head_dim = 128;
  int64_t context = 256;
  int64_t cache_bytes = int64_t{256} << 20;  // of all sequences: beyond the caches
  int time_ms = 50;                          // of each rate
};
AttendRateOptions usual_attend_rates();

// Medians of rounds over all sequences, or as many as `time_ms` allows. Sorted as of Compute.
// Errors: kNoRoom.
struct AttendRates {
  std::vector<hardware::AttendRate> attend;
  std::vector<hardware::StoreRate> store;
};
Result<AttendRates> measure_attend_rates(const kernels::Exec& exec,
                                         const AttendRateOptions& options);

// Microseconds of a kernel that has next to nothing to do for each thread: of waking them.
double measure_launch_us(const kernels::Exec& exec, int time_ms);

}  // namespace sluice::probe
