#include "probe/probe.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/numa.h"
#include "kernels/op_table.h"
#include "probe/attend_rates.h"
#include "probe/expert_rates.h"
#include "probe/memory_rates.h"

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

bool is_complete(const hardware::Hardware& hardware) {
  const hardware::Level* host = hardware.find(kHost);
  return host != nullptr && host->compute && !host->compute->kernel_rates.empty();
}

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

namespace {

// What only a complete measurement has. The curves take most of the time.
Status complete(const kernels::Exec& exec, const ProbeOptions& options, hardware::Level& host) {
  const auto tell = [&](const std::string& what, double share) {
    if (options.progress) options.progress(what, share);
  };
  const int64_t bytes = std::min(options.read_bytes, free_bytes() / 4);
  tell("memory by threads", 0.15);
  SLUICE_ASSIGN(host.thread_rates, measure_thread_rates(exec, bytes, options.time_ms / 3));
  host.write_bytes_per_second = host.thread_rates.back().write_bytes_per_second;
  host.copy_bytes_per_second = host.thread_rates.back().copy_bytes_per_second;
  tell("memory by node", 0.25);
  SLUICE_ASSIGN(host.node_rates, measure_node_rates(exec, bytes, options.time_ms / 3));
  tell("attention by queries", 0.3);
  AttendRateOptions attention = usual_attend_rates();
  attention.cache_bytes = std::min(attention.cache_bytes, bytes / 4);
  attention.time_ms = options.time_ms / 6;
  SLUICE_ASSIGN(AttendRates attended, measure_attend_rates(exec, attention));
  host.compute->attend_rates = std::move(attended.attend);
  host.compute->store_rates = std::move(attended.store);
  host.compute->launch_us = measure_launch_us(exec, options.time_ms / 6);
  ExpertRateOptions experts = usual_expert_rates();
  experts.weight_bytes = std::min(experts.weight_bytes, bytes / 4);
  narrow_to_fit(experts);
  experts.time_ms = options.time_ms / 3;
  const auto all = static_cast<double>(experts.formats.size() * experts.tokens.size());
  SLUICE_ASSIGN(host.compute->kernel_rates, measure_expert_rates(exec, experts, [&](int64_t done) {
                  tell("kernels by format and tokens", 0.4 + 0.6 * static_cast<double>(done) / all);
                }));
  return {};
}

}  // namespace

Result<hardware::Hardware> probe(const ProbeOptions& options) {
  if (options.threads < 1) return Error{ErrorCode::kInvalid, "probe needs at least one thread"};
  base::ThreadTeam team(options.threads);
  const kernels::Exec exec{&kernels::op_table(options.isa), &team};
  const int64_t read_bytes = std::min(options.read_bytes, free_bytes() / 4);
  if (options.progress) options.progress("memory and arithmetic", 0.0);
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
  if (options.complete) SLUICE_TRY(complete(exec, options, host));
  hardware::Hardware hardware;
  hardware.name = key_of(options);
  hardware.source = hardware::Source::kMeasured;
  hardware.levels = {host};
  return hardware;
}

std::optional<hardware::Hardware> kept(const std::string& cache_path, const ProbeOptions& options) {
  auto cached = hardware::read_file(cache_path);
  if (!cached.ok() || cached->source != hardware::Source::kMeasured ||
      cached->name != key_of(options) || (options.complete && !is_complete(*cached)))
    return std::nullopt;
  return std::move(*cached);
}

Result<Probed> load_or_probe(const std::string& cache_path, const ProbeOptions& options) {
  if (auto cached = kept(cache_path, options)) return Probed{std::move(*cached), true, ""};
  SLUICE_ASSIGN(hardware::Hardware measured, probe(options));
  const Status kept = hardware::write_file(measured, cache_path);
  return Probed{std::move(measured), false, kept.ok() ? "" : kept.error().message};
}

}  // namespace sluice::probe
