#include "bench/paper/published.h"

#include <array>

namespace sluice::bench {
namespace {

constexpr std::array kSettings = {
    Setting{"S1", "mixtral-8x7b", "T4", 1, 192},  Setting{"S2", "mixtral-8x7b", "L4", 1, 192},
    Setting{"S6", "mixtral-8x22b", "T4", 2, 416}, Setting{"S7", "mixtral-8x22b", "T4", 4, 416},
    Setting{"S8", "dbrx", "T4", 2, 416},          Setting{"S9", "dbrx", "T4", 4, 416},
};

constexpr std::array<int, 4> kGenerated = {32, 64, 128, 256};
using FourFigures = std::array<double, 4>;  // by kGenerated
using FourPolicies = std::array<PublishedPolicy, 4>;

constexpr FourPolicies kFlexGenS1 = {{{32, 40, .07}, {16, 78, .08}, {8, 139, .08}, {8, 113, .08}}};
constexpr FourPolicies kFlexGenS2 = {{{64, 21, .12}, {64, 20, .12}, {64, 18, .12}, {32, 30, .14}}};
constexpr FourPolicies kFlexGen22b = {{{16, 46, .01}, {4, 182, .01}, {8, 80, .01}, {2, 261, .01}}};
constexpr PublishedPolicy kPaddedS1{36, 14}, kPaddedS6{36, 7};

struct MtBench {
  const char* setting;
  const char* system;
  FourFigures tokens_per_second;
  FourPolicies policies;
};
constexpr std::array kMtBench = {
    MtBench{"S1", "FlexGen", {12.1, 12.3, 9.5, 9.6}, kFlexGenS1},
    MtBench{"S1", "FlexGen(c)", {9.8, 9.4, 7.2, 6.8}, kFlexGenS1},
    MtBench{"S1",
            "MoE-Lightning(p)",
            {15.6, 24.0, 30.1, 33.9},
            {{kPaddedS1, kPaddedS1, kPaddedS1, kPaddedS1}}},
    MtBench{"S1",
            "MoE-Lightning",
            {63.0, 101.3, 97.7, 96.7},
            {{{164, 19}, {164, 19}, {164, 14}, {100, 15}}}},
    MtBench{"S2", "FlexGen", {29.2, 34.9, 37.2, 28.8}, kFlexGenS2},
    MtBench{"S2", "FlexGen(c)", {17.5, 18.9, 20.0, 15.9}, kFlexGenS2},
    MtBench{"S2",
            "MoE-Lightning(p)",
            {53.7, 67.4, 79.0, 78.6},
            {{{68, 16}, {68, 15}, {68, 13}, {68, 11}}}},
    MtBench{"S2",
            "MoE-Lightning",
            {203, 294.5, 217.5, 167.9},
            {{{324, 14}, {228, 16}, {164, 16}, {132, 12}}}},
    MtBench{"S6", "FlexGen", {4.25, 4.4, 4.77, 3.66}, kFlexGen22b},
    MtBench{"S6", "FlexGen(c)", {2.7, 2.86, 3.44, 3.09}, kFlexGen22b},
    MtBench{"S6",
            "MoE-Lightning(p)",
            {5.38, 7.33, 7.75, 9.13},
            {{kPaddedS6, kPaddedS6, kPaddedS6, kPaddedS6}}},
    MtBench{"S7", "FlexGen", {4.97, 5.31, 4.36, 2.96}, kFlexGen22b},
    MtBench{"S7", "FlexGen(c)", {1.78, 0.97, 1.02, 0.67}, kFlexGen22b},
    MtBench{"S7",
            "MoE-Lightning(p)",
            {14.9, 22.4, 26.2, 25.8},
            {{{36, 18}, {36, 17}, {36, 15}, {36, 13}}}},
    MtBench{"S8",
            "MoE-Lightning",
            {34.0, 36.2, 29.7, 25.9},
            {{{68, 39}, {68, 39}, {68, 33}, {68, 20}}}},
    MtBench{"S9",
            "MoE-Lightning",
            {71.5, 83.6, 83.0, 59.5},
            {{{68, 64}, {68, 53}, {68, 36}, {68, 27}}}},
};

constexpr std::array kOthers = {
    // The ablation: FlexGen with the policy that the paper's model finds, and with a larger batch.
    Published{"S1", "FlexGen", "mtbench", 128, 16.816, {36, 14, .08}},
    Published{"S1", "FlexGen", "mtbench", 128, 20.654, {36, 31, .08}},
    Published{"S1", "FlexGen(c)", "helm-synthetic", 50, 16.903, {32, 61, .07}},
    Published{"S1", "FlexGen", "helm-synthetic", 50, 22.691, {32, 61, .07}},
    Published{"S1", "DeepSpeed", "helm-synthetic", 50, 11.832, {102, 1}},
    Published{"S1", "MoE-Lightning(p)", "helm-synthetic", 50, 26.349, {36, 26}},
    Published{"S2", "FlexGen(c)", "helm-synthetic", 50, 20.015, {64, 33, .14}},
    Published{"S2", "FlexGen", "helm-synthetic", 50, 50.138, {64, 33, .14}},
    Published{"S2", "DeepSpeed", "helm-synthetic", 50, 18.589, {156, 1}},
    Published{"S2", "MoE-Lightning(p)", "helm-synthetic", 50, 105.29, {100, 15}},
    Published{"S1", "FlexGen(c)", "summarization", 64, 2.614, {3, 92, .07}},
    Published{"S1", "FlexGen", "summarization", 64, 3.868, {3, 92, .07}},
    Published{"S1", "DeepSpeed", "summarization", 64, 0.965, {8, 1}},
    Published{"S1", "MoE-Lightning(p)", "summarization", 64, 4.52, {4, 19}},
    Published{"S2", "FlexGen(c)", "summarization", 64, 4.307, {8, 36, .12}},
    Published{"S2", "FlexGen", "summarization", 64, 7.14, {8, 36, .12}},
    Published{"S2", "DeepSpeed", "summarization", 64, 1.447, {12, 1}},
    Published{"S2", "MoE-Lightning(p)", "summarization", 64, 12.393, {8, 36}},
};

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::vector<Published> published() {
  std::vector<Published> all;
  for (const MtBench& row : kMtBench)
    for (size_t i = 0; i < kGenerated.size(); ++i)
      all.push_back({row.setting, row.system, "mtbench", kGenerated[i], row.tokens_per_second[i],
                     row.policies[i]});
  all.insert(all.end(), kOthers.begin(), kOthers.end());
  return all;
}

}  // namespace sluice::bench
