#include "bench/paper/published.h"

#include <array>
#include <string_view>

namespace sluice::bench {
namespace {

constexpr std::array kSettings = {
    Setting{"S1", "mixtral-8x7b", "T4", 1, 192},  Setting{"S2", "mixtral-8x7b", "L4", 1, 192},
    Setting{"S6", "mixtral-8x22b", "T4", 2, 416}, Setting{"S7", "mixtral-8x22b", "T4", 4, 416},
    Setting{"S8", "dbrx", "T4", 2, 416},          Setting{"S9", "dbrx", "T4", 4, 416},
};

struct MtBench {
  const char* setting;
  const char* system;
  std::array<double, 4> tokens_per_second;  // 32, 64, 128, 256 generated
};
constexpr std::array<int, 4> kGenerated = {32, 64, 128, 256};
constexpr std::array kMtBench = {
    MtBench{"S1", "FlexGen", {12.1, 12.3, 9.5, 9.6}},
    MtBench{"S1", "FlexGen(c)", {9.8, 9.4, 7.2, 6.8}},
    MtBench{"S1", "MoE-Lightning(p)", {15.6, 24.0, 30.1, 33.9}},
    MtBench{"S1", "MoE-Lightning", {63.0, 101.3, 97.7, 96.7}},
    MtBench{"S2", "FlexGen", {29.2, 34.9, 37.2, 28.8}},
    MtBench{"S2", "FlexGen(c)", {17.5, 18.9, 20.0, 15.9}},
    MtBench{"S2", "MoE-Lightning(p)", {53.7, 67.4, 79.0, 78.6}},
    MtBench{"S2", "MoE-Lightning", {203, 294.5, 217.5, 167.9}},
    MtBench{"S6", "FlexGen", {4.25, 4.4, 4.77, 3.66}},
    MtBench{"S6", "FlexGen(c)", {2.7, 2.86, 3.44, 3.09}},
    MtBench{"S6", "MoE-Lightning(p)", {5.38, 7.33, 7.75, 9.13}},
    MtBench{"S7", "FlexGen", {4.97, 5.31, 4.36, 2.96}},
    MtBench{"S7", "FlexGen(c)", {1.78, 0.97, 1.02, 0.67}},
    MtBench{"S7", "MoE-Lightning(p)", {14.9, 22.4, 26.2, 25.8}},
    MtBench{"S8", "MoE-Lightning", {34.0, 36.2, 29.7, 25.9}},
    MtBench{"S9", "MoE-Lightning", {71.5, 83.6, 83.0, 59.5}},
};

// Policies of MTBench runs.
constexpr std::array kPolicies = {
    Published{"S1", "MoE-Lightning", "mtbench", 32, 0, 164, 19},
    Published{"S1", "MoE-Lightning", "mtbench", 64, 0, 164, 19},
    Published{"S1", "MoE-Lightning", "mtbench", 128, 0, 164, 14},
    Published{"S1", "MoE-Lightning", "mtbench", 256, 0, 100, 15},
    Published{"S2", "MoE-Lightning", "mtbench", 32, 0, 324, 14},
    Published{"S2", "MoE-Lightning", "mtbench", 64, 0, 228, 16},
    Published{"S2", "MoE-Lightning", "mtbench", 128, 0, 164, 16},
    Published{"S2", "MoE-Lightning", "mtbench", 256, 0, 132, 12},
    Published{"S1", "MoE-Lightning(p)", "mtbench", 128, 0, 36, 14},
    Published{"S1", "FlexGen", "mtbench", 128, 0, 8, 139},
};

constexpr std::array kHelm = {
    Published{"S1", "FlexGen(c)", "helm-synthetic", 50, 16.903, 32, 61},
    Published{"S1", "FlexGen", "helm-synthetic", 50, 22.691, 32, 61},
    Published{"S1", "MoE-Lightning(p)", "helm-synthetic", 50, 26.349, 36, 26},
    Published{"S2", "FlexGen(c)", "helm-synthetic", 50, 20.015, 64, 33},
    Published{"S2", "FlexGen", "helm-synthetic", 50, 50.138, 64, 33},
    Published{"S2", "MoE-Lightning(p)", "helm-synthetic", 50, 105.29, 100, 15},
    Published{"S1", "FlexGen(c)", "summarization", 64, 2.614, 3, 92},
    Published{"S1", "FlexGen", "summarization", 64, 3.868, 3, 92},
    Published{"S1", "MoE-Lightning(p)", "summarization", 64, 4.52, 4, 19},
    Published{"S2", "FlexGen(c)", "summarization", 64, 4.307, 8, 36},
    Published{"S2", "FlexGen", "summarization", 64, 7.14, 8, 36},
    Published{"S2", "MoE-Lightning(p)", "summarization", 64, 12.393, 8, 36},
};

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::vector<Published> published() {
  std::vector<Published> all;
  for (const MtBench& row : kMtBench) {
    for (size_t i = 0; i < kGenerated.size(); ++i) {
      Published point{row.setting, row.system, "mtbench", kGenerated[i], row.tokens_per_second[i]};
      for (const Published& policy : kPolicies) {
        if (std::string_view(policy.setting) != row.setting ||
            std::string_view(policy.system) != row.system || policy.generated != point.generated)
          continue;
        point.micro_batch = policy.micro_batch;
        point.micro_batches = policy.micro_batches;
      }
      all.push_back(point);
    }
  }
  all.insert(all.end(), kHelm.begin(), kHelm.end());
  return all;
}

}  // namespace sluice::bench
