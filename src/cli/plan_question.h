// What `sluice plan` is asked: a model, a machine and a workload, out of its flags.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "planner/planner.h"

namespace sluice::cli {

struct PlanFlags {
  std::string model;  // a path, or the name of a published model
  std::string hardware, device, host, host_memory, device_memory, disk;
  int devices = 1;
  std::string workload, input, prompt_tokens, generate_tokens;
  int64_t requests = 0, default_max_tokens = 256;
  std::string objective = "throughput";
  double deadline_ms = 0;
  std::string quant = "none", quant_floor = "q4", kv_dtype = "auto", router = "auto";
  std::string schedule = "auto", experts_on;
  double resident_weights = 1;
  int64_t batch = 0, micro_batch = 0, max_num_tokens = 0;
  std::string kv_on = "host";
  std::optional<double> resident_kv;
  bool runnable = false;
};

void add_plan_flags(CLI::App& command, PlanFlags& flags);

// Errors: whatever names nothing, cannot be read, or contradicts itself, in one sentence.
Result<planner::Question> question_of(const PlanFlags& flags);

}  // namespace sluice::cli
