// An answer as plan.json: what `batch --plan` runs, what `plan --diff` compares.
#pragma once

#include "planner/planner.h"

namespace sluice::planner {

constexpr int64_t kPlanFileVersion = 2;

Json to_json(const Question& question, const Answer& answer, const std::vector<WhatIf>& what_ifs);

// What of such a file a run needs.
struct PlanFile {
  std::string quant;
  bool runs = false;
  std::string why_not;
  int64_t kv_cache_bytes = 0;  // of all levels
  plan::Plan plan;
};
// kInvalid names what is missing or not understood.
Result<PlanFile> plan_file(const Json& json);

// Every value that differs, by its path: "policy.micro_batch".
struct Difference {
  std::string field;
  std::string before, after;  // empty: it is not there
};
std::vector<Difference> difference(const Json& before, const Json& after);

}  // namespace sluice::planner
