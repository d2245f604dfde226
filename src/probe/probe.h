// Measures this machine, with the project's own kernels, into hardware::Hardware: the bandwidth of
// reading memory and the peak rates of its arithmetic, all threads at once. Disks take seconds and
// are measured when that is asked for: disk_read.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "hardware/hardware.h"
#include "kernels/exec.h"

namespace sluice::probe {

// Raised when what is measured, or how, changes: cached files of another version are not used.
constexpr int kProbeVersion = 6;

struct ProbeOptions {
  int threads = 1;
  kernels::Isa isa = kernels::Isa::kScalar;
  // Read in each pass; far larger than any cache (hypervisors share caches of hundreds of MB). At
  // most a quarter of the free memory is used.
  int64_t read_bytes = int64_t{2} << 30;
  int time_ms = 300;  // of each rate
  // Rates by thread and by memory node and the curves of kernels too: some seconds more.
  bool complete = false;
  // What is being measured, and which share of all is done.
  std::function<void(const std::string& what, double share)> progress;
};

// The best rate seen over several short rounds: other work on the machine only slows a round down.
// Errors: no memory for the array.
Result<hardware::Hardware> probe(const ProbeOptions& options);

// A measurement that is part of a benchmark: the same rates of a team that exists already.
struct CpuRates {
  double read_bytes_per_second = 0.0;
  double f32_flops = 0.0;
  double bf16_flops = 0.0;  // 0 where the ISA has no dot product of bf16
  double int8_ops = 0.0;    // pairs of bytes where the ISA has no dot product; 0 for scalar
};
// Seconds that have passed: wall_seconds, or thread_seconds, the calling thread's own time on a
// CPU, which a busy machine does not stretch; it is meaningful for a team of one only.
using Seconds = double (*)();
double wall_seconds();
double thread_seconds();
// Of rounds, at least one, what a run will see: the best is what it may see at times.
double median(std::vector<double> rounds);
Result<CpuRates> measure_cpu(const kernels::Exec& exec, int64_t read_bytes, int time_ms,
                             Seconds now = &wall_seconds);

struct Probed {
  hardware::Hardware hardware;
  bool from_cache = false;
  std::string cache_problem;  // why the measurement could not be kept; not an error
};

// What `cache_path` holds, if it was measured on this CPU model, ISA, number of threads and probe
// version, and is complete where that is asked for.
std::optional<hardware::Hardware> kept(const std::string& cache_path, const ProbeOptions& options);

// That, or measures and keeps it there.
Result<Probed> load_or_probe(const std::string& cache_path, const ProbeOptions& options);

std::string cpu_model();

}  // namespace sluice::probe
