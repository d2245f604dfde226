// What MoE-Lightning's paper publishes (arXiv 2411.11217, tables 3 to 6, figure 7): settings,
// throughput, policies. Figures only.
#pragma once

#include <span>
#include <vector>

namespace sluice::bench {

struct Setting {
  const char* name;   // "S1"
  const char* model;  // models::known_shape
  const char* device;
  int devices;
  double host_memory_gib;
};
std::span<const Setting> settings();

// One figure: generated tokens per second over prefill and decode.
struct Published {
  const char* setting;
  const char* system;    // "FlexGen", "FlexGen(c)", "MoE-Lightning(p)", "MoE-Lightning"
  const char* workload;  // planner::known_workload
  int generated;
  double tokens_per_second;
  int micro_batch = 0, micro_batches = 0;  // its policy, where it is published
};
std::vector<Published> published();

}  // namespace sluice::bench
