#include "probe/probe.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/numa.h"
#include "kernels/op_table.h"

namespace sluice::probe {
namespace {

constexpr const char* kHost = "host";

// The memory that this process may use: the machine's, or its control group's where that is less.
int64_t memory_bytes() {
  int64_t bytes = int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  std::ifstream limit("/sys/fs/cgroup/memory.max");
  int64_t allowed = 0;
  if (limit >> allowed && allowed > 0) bytes = std::min(bytes, allowed);
  return bytes;
}

int64_t free_bytes() { return int64_t{::sysconf(_SC_AVPHYS_PAGES)} * ::sysconf(_SC_PAGESIZE); }

// A measurement belongs to a CPU, an ISA, a team and a version of these programs.
std::string key_of(const ProbeOptions& options) {
  return cpu_model() + ", " + kernels::name(options.isa) + ", " + std::to_string(options.threads) +
         " threads, probe " + std::to_string(kProbeVersion);
}

}  // namespace

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t at = line.find(": ");
    if (at != std::string::npos) return line.substr(at + 2);
  }
  return "unknown CPU";
}

Result<hardware::Hardware> probe(const ProbeOptions& options) {
  if (options.threads < 1) return Error{ErrorCode::kInvalid, "probe needs at least one thread"};
  base::ThreadTeam team(options.threads);
  const kernels::Exec exec{&kernels::op_table(options.isa), &team};
  const int64_t read_bytes = std::min(options.read_bytes, free_bytes() / 4);
  SLUICE_ASSIGN(const CpuRates rates, measure_cpu(exec, read_bytes, options.time_ms));
  hardware::Level host;
  host.name = kHost;
  host.kind = hardware::LevelKind::kHost;
  host.capacity_bytes = memory_bytes();
  host.memory_nodes = std::max(1, static_cast<int>(base::own_nodes_to_interleave().size()));
  host.read_bytes_per_second = rates.read_bytes_per_second;
  host.compute = hardware::Compute{
      cpu_model(), kernels::name(options.isa), options.threads, {{"f32", rates.f32_flops}}};
  if (rates.bf16_flops > 0.0) host.compute->peak_flops["bf16"] = rates.bf16_flops;
  if (rates.int8_ops > 0.0) host.compute->peak_flops["int8"] = rates.int8_ops;
  hardware::Hardware hardware;
  hardware.name = key_of(options);
  hardware.source = hardware::Source::kMeasured;
  hardware.levels = {host};
  return hardware;
}

Result<Probed> load_or_probe(const std::string& cache_path, const ProbeOptions& options) {
  auto cached = hardware::read_file(cache_path);
  if (cached.ok() && cached->source == hardware::Source::kMeasured &&
      cached->name == key_of(options)) {
    return Probed{std::move(*cached), true, ""};
  }
  SLUICE_ASSIGN(hardware::Hardware measured, probe(options));
  const Status kept = hardware::write_file(measured, cache_path);
  return Probed{std::move(measured), false, kept.ok() ? "" : kept.error().message};
}

}  // namespace sluice::probe
