#include "planner/machine.h"

#include <algorithm>
#include <array>

namespace sluice::planner {

using hardware::LevelKind;
using schedule::Lane;

namespace {

constexpr int kMostCurveTokens = 1 << 14;
// A layer's seven stages start about twenty kernels.
constexpr double kKernelsOfAStage = 3;

Error missing(const hardware::Hardware& hardware, const std::string& what) {
  return {ErrorCode::kInvalid, "the hardware '" + hardware.name + "' states no " + what +
                                   ", which a plan needs; 'sluice probe' measures it, or add it to "
                                   "the file"};
}

Watts watts_of(const hardware::Level& level) {
  return {.idle = level.idle_watts.value_or(0), .busy = level.busy_watts.value_or(0)};
}

// What a level computes per second in that type, or in the nearest that it states.
Result<double> arithmetic(const hardware::Hardware& hardware, const hardware::Level& level,
                          const std::string& dtype) {
  if (!level.compute) return missing(hardware, "arithmetic of '" + level.name + "'");
  const auto& peaks = level.compute->peak_flops;
  static const std::array<std::string, 5> kNearest = {"bf16", "f16", "f32", "int8", "fp8"};
  if (const auto found = peaks.find(dtype); found != peaks.end()) return found->second;
  for (const std::string& other : kNearest)
    if (const auto found = peaks.find(other); found != peaks.end()) return found->second;
  return missing(hardware, "arithmetic of '" + level.name + "'");
}

// What the host's products with weights of a format reach, by tokens.
Result<schedule::Curve> curve_of(const hardware::Hardware& hardware, const hardware::Level& host,
                                 tensor::DType format) {
  const tensor::DTypeInfo& info = tensor::info(format);
  schedule::Curve curve;
  if (host.compute) {
    for (const hardware::KernelRate& rate : host.compute->kernel_rates) {
      if (rate.format == info.name)
        curve.push_back({static_cast<double>(rate.tokens_per_expert), rate.flops_per_second});
    }
  }
  if (!curve.empty()) return curve;
  const bool block = tensor::is_block_format(format);
  SLUICE_ASSIGN(const double peak, arithmetic(hardware, host, block ? "int8" : "f32"));
  const double weight_bytes = static_cast<double>(info.block_bytes) / info.block_elements;
  for (int tokens = 1; tokens <= kMostCurveTokens; tokens *= 2) {
    const double by_memory = 2 * tokens * host.read_bytes_per_second / weight_bytes;
    curve.push_back({static_cast<double>(tokens), std::min(peak, by_memory)});
  }
  return curve;
}

Result<schedule::Rates> link(const hardware::Hardware& hardware, const std::string& from,
                             const std::string& to, double efficiency) {
  for (const hardware::Link& link : hardware.links) {
    if (link.from != from || link.to != to) continue;
    return schedule::Rates{.bytes_per_second = link.bytes_per_second * efficiency,
                           .latency_s = link.latency_us * 1e-6};
  }
  return missing(hardware, "link from '" + from + "' to '" + to + "'");
}

Status add_device(const hardware::Hardware& hardware, const hardware::Level& device,
                  const hardware::Level& host, const Efficiency& efficiency, Machine& machine) {
  machine.devices = 1;
  machine.device_memory = device.capacity_bytes;
  machine.device_watts = watts_of(device);
  SLUICE_ASSIGN(const double flops, arithmetic(hardware, device, "bf16"));
  machine.rates(Lane::kDeviceCompute) = {.flops_per_second = flops * efficiency.arithmetic,
                                         .bytes_per_second = device.read_bytes_per_second};
  SLUICE_ASSIGN(machine.rates(Lane::kHostToDevice),
                link(hardware, host.name, device.name, efficiency.link));
  SLUICE_ASSIGN(machine.rates(Lane::kDeviceToHost),
                link(hardware, device.name, host.name, efficiency.link));
  return {};
}

}  // namespace

Result<Machine> machine_of(const hardware::Hardware& hardware, const Formats& formats,
                           const Efficiency& efficiency) {
  const hardware::Level* host = hardware.find(LevelKind::kHost);
  if (host == nullptr) return missing(hardware, "host memory");
  Machine machine;
  machine.name = hardware.name;
  machine.measured = hardware.source == hardware::Source::kMeasured;
  machine.host_memory = host->capacity_bytes;
  machine.memory_nodes = host->memory_nodes;
  machine.host_watts = watts_of(*host);
  SLUICE_ASSIGN(const double host_flops, arithmetic(hardware, *host, "f32"));
  SLUICE_ASSIGN(machine.costs.host_experts, curve_of(hardware, *host, formats.expert));
  SLUICE_ASSIGN(machine.costs.host_dense, curve_of(hardware, *host, formats.dense));
  for (const hardware::AttendRate& rate : host->compute->attend_rates) {
    if (rate.format != kernels::name(formats.kv)) continue;
    machine.costs.host_attend.push_back(
        {static_cast<double>(rate.queries_per_key), rate.flops_per_second});
  }
  for (const hardware::StoreRate& rate : host->compute->store_rates) {
    if (rate.format == kernels::name(formats.kv))
      machine.costs.host_store.push_back({static_cast<double>(rate.rows), rate.bytes_per_second});
  }
  machine.cores = host->compute->threads;
  machine.rates(Lane::kHostCompute) = {
      .flops_per_second = host_flops,
      .bytes_per_second = host->read_bytes_per_second,
      .latency_s = 1e-6 * kKernelsOfAStage * host->compute->launch_us.value_or(0)};
  if (const hardware::Level* disk = hardware.find(LevelKind::kDisk)) {
    machine.disk_bytes = disk->capacity_bytes;
    machine.disk_watts = watts_of(*disk);
    machine.rates(Lane::kDisk) = {.bytes_per_second = disk->read_bytes_per_second};
  }
  if (const hardware::Level* device = hardware.find(LevelKind::kDevice)) {
    SLUICE_TRY(add_device(hardware, *device, *host, efficiency, machine));
  }
  return machine;
}

Machine with_devices(Machine machine, int devices) {
  machine.devices = devices;
  machine.device_memory *= devices;
  for (const Lane lane : {Lane::kDeviceCompute, Lane::kHostToDevice, Lane::kDeviceToHost}) {
    machine.rates(lane).flops_per_second *= devices;
    machine.rates(lane).bytes_per_second *= devices;
  }
  machine.device_watts.idle *= devices;
  machine.device_watts.busy *= devices;
  return machine;
}

}  // namespace sluice::planner
