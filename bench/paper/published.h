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

// What a system ran with. The paper states some of them; the others are in its public artifact:
// FlexGen's in the scripts that ran it (of S6 and S7 as its optimizer gave them), MoE-Lightning's
// as the number of requests that its logs count, in micro-batches of the sizes that its optimizer
// walks.
struct PublishedPolicy {
  int micro_batch, micro_batches;
  double resident_weights = 0;  // FlexGen's share of the weights on the device
};

// One figure: generated tokens per second over prefill and decode.
struct Published {
  const char* setting;
  const char* system;  // "FlexGen", "FlexGen(c)", "DeepSpeed", "MoE-Lightning(p)", "MoE-Lightning"
  const char* workload;  // planner::known_workload
  int generated;
  double tokens_per_second;
  PublishedPolicy policy;
};
std::vector<Published> published();

}  // namespace sluice::bench
