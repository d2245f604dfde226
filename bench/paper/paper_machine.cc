#include "bench/paper/paper_machine.h"

#include <algorithm>

namespace sluice::bench {

using schedule::Lane;

namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr double kDeviceShare = 0.86, kHostShare = 0.8;
constexpr double kFp16 = 2;

// One device, as the optimizer's constants have it: memory in GB, link and memory in GB/s, device
// and host arithmetic in TFLOP/s.
struct Constants {
  std::string_view device;
  double memory_gib, link, memory, device_tflops, host_tflops;
};
constexpr Constants kConstants[] = {{"T4", 15, 16, 300, 65, 0.8}, {"L4", 24, 16, 285, 104, 1.6}};
constexpr double kHostPeakBytesPerSecond = 76e9, kHostReachedBytesPerSecond = 46.3e9;

}  // namespace

Reached peaks() { return {.host_bytes_per_second = kHostPeakBytesPerSecond}; }
Reached reached(const planner::Efficiency& device) {
  return {.device = device, .host_bytes_per_second = kHostReachedBytesPerSecond};
}

planner::Machine paper_machine(const Setting& setting, std::string_view system,
                               const Reached& reached) {
  const Constants& c = kConstants[setting.device == kConstants[0].device ? 0 : 1];
  planner::Machine machine;
  machine.name = std::string(setting.name);
  machine.host_memory = static_cast<int64_t>(setting.host_memory_gib * kGiB);
  machine.device_memory = static_cast<int64_t>(c.memory_gib * kGiB);
  const schedule::Rates link{.bytes_per_second = c.link * 1e9 * reached.device.link};
  machine.rates(Lane::kHostToDevice) = link;
  machine.rates(Lane::kDeviceToHost) = link;
  machine.rates(Lane::kDeviceCompute) = {
      .flops_per_second = c.device_tflops * 1e12 * reached.device.arithmetic,
      .bytes_per_second = c.memory * 1e9};
  machine.rates(Lane::kHostCompute) = {.flops_per_second = c.host_tflops * 1e12,
                                       .bytes_per_second = reached.host_bytes_per_second};
  if (system.starts_with("MoE-Lightning")) return planner::with_devices(machine, setting.devices);
  machine.devices = 1;
  machine.device_memory *= setting.devices;
  return machine;
}

std::optional<planner::Shortage> paper_settle(const planner::Subject& subject,
                                              const planner::Workload& workload,
                                              planner::Candidate& candidate) {
  const models::ModelConfig& model = subject.model;
  const models::LayerConfig& layer = model.layers.front();
  const double l = model.layer_count(), h1 = model.hidden, h2 = layer.ffn.inter;
  const double n_e = layer.ffn.experts, k = layer.ffn.top_k;
  const double h_kv = double{1} * layer.attention.kv_heads * layer.attention.head_dim;
  const double s = workload.mean_prompt(), n = workload.mean_generated();
  const auto batch = static_cast<double>(candidate.policy.batch);
  const auto mu = static_cast<double>(candidate.policy.micro_batch);
  const double r_c =
      candidate.policy.attention_on == plan::Place::kDevice ? candidate.policy.resident_kv : 0;
  const double tp = subject.machine.devices;
  const double w_o = 2 * kFp16 * h1 * (h1 + h_kv) * l;
  const double w_i = 3 * kFp16 * h1 * h2 * n_e;
  const double home_d = w_o + 4 * h1 * batch + 4 * (s + n) * h_kv * batch * l * r_c;
  const double home_p = w_o + 4 * s * h_kv * batch * r_c +
                        tp * (4 * h1 * mu * s + 2 * h1 * batch * s) + 8 * s * h_kv * mu * (1 - r_c);
  const double prompts = 2.4 * (mu * k * h1 * s + 3 * mu * k * h2 * s);
  // max(home) + w_i l r_w + 2 w_i (1 - r_w) + prompts <= 0.86 m_g, solved for r_w.
  const double room = kDeviceShare * static_cast<double>(subject.machine.device_memory) -
                      std::max(home_d, home_p) - prompts;
  if (room < 2 * w_i)
    return planner::Shortage{schedule::Level::kDevice, static_cast<int64_t>(2 * w_i - room)};
  const double r_w = std::min(1.0, (room - 2 * w_i) / (w_i * (l - 2)));
  const double host = w_i * l * (1 - r_w) + 4 * (s + n) * h_kv * batch * l * (1 - r_c) +
                      2 * h1 * batch * s + 2 * w_i * (1 - r_w);
  const double host_room = kHostShare * static_cast<double>(subject.machine.host_memory);
  if (host > host_room)
    return planner::Shortage{schedule::Level::kHost, static_cast<int64_t>(host - host_room)};
  candidate.policy.resident_weights = r_w;
  candidate.host_weights = 1;
  return std::nullopt;
}

}  // namespace sluice::bench
