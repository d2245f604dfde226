// What is to be answered: how many requests, of which lengths.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace sluice::planner {

// So many requests of one length, in tokens.
struct Lengths {
  int64_t prompt = 0;     // at least 1
  int64_t generated = 0;  // at least 1
  int64_t requests = 1;   // at least 1
  bool operator==(const Lengths&) const = default;
};

struct Workload {
  std::string name;
  std::vector<Lengths> requests;  // not empty

  int64_t count() const;
  double mean_prompt() const;
  double mean_generated() const;
  int64_t max_prompt() const;
  int64_t max_tokens() const;  // of one sequence, prompt and answer
  // The longest sequence that a plan lets in: twice that, as far as the model goes, since lengths
  // are often an estimate.
  int64_t max_seq_len(int64_t max_positions) const;
  // Every prompt as long as the longest.
  Workload padded() const;
  bool operator==(const Workload&) const = default;
};

// Limits on what a workload may state.
constexpr int64_t kMaxRequests = int64_t{1} << 32;
constexpr int64_t kMaxTokens = int64_t{1} << 31;

// The three of MoE-Lightning (arXiv 2411.11217, section 5.1): "mtbench", "helm-synthetic",
// "summarization"; of each the published mean, and the longest in so small a share that the mean
// holds. `generated` 0: what the paper generates (MTBench: 128).
Result<Workload> known_workload(std::string_view name, int64_t generated, int64_t requests);
std::span<const char* const> workload_names();

// A length as a number ("512"), or a distribution: "LOW:HIGH" in equal shares (of eight lengths),
// or lengths with weights, "128x3,1024x1".
struct Share {
  int64_t tokens = 0;
  double weight = 0;  // of all, which sum to 1
};
Result<std::vector<Share>> parse_lengths(std::string_view text, const char* flag);

// Every prompt length with every answer's, in the shares' proportions.
Result<Workload> workload_of(std::string_view prompt, std::string_view generated, int64_t requests);

}  // namespace sluice::planner
