// The closing report: what was done, how fast, on what the time went, and what bound the run. Every
// figure is measured, but for the work that the stages state of themselves, which is called
// estimated wherever it is shown.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "batch/runner.h"
#include "batch/score.h"
#include "engine/stats.h"
#include "plan/plan.h"

namespace sluice::batch {

// What this machine can do at best, from hardware.json.
struct MachineLimits {
  std::string name;       // of the processor
  std::string dtype;      // whose rate of arithmetic it is: "f32", "bf16"
  bool measured = false;  // else stated
  double read_bytes_per_second = 0;
  double flops_per_second = 0;
  double disk_bytes_per_second = 0;  // 0: not known
};

struct ReportInput {
  std::string model;
  RunState state;
  engine::EngineStats stats;
  plan::Plan plan;
  double load_seconds = 0;
  int64_t peak_memory_bytes = 0;  // of the process; 0: not known
  std::optional<MachineLimits> limits;
  std::optional<Scores> scores;
};

// What a run is measured against: a roofline of the stages' own statements.
struct Bound {
  bool known = false;      // there are limits, and there was work
  bool by_memory = false;  // else by arithmetic
  double share = 0;        // of the time that the bound allows, over the time it took
  double bytes_per_second = 0, flops_per_second = 0;  // reached while computing
  models::Cost work;                                  // estimated
};
Bound bound_of(const engine::EngineStats& stats, const std::optional<MachineLimits>& limits);

// An emulation says something only if real work leaves room in the time that is played: half of
// each task's. Tasks that play microseconds (sorting a few tokens) cannot keep to that; the work of
// all that do not may take a hundredth of the time that the busiest lane plays.
struct EmulationCheck {
  bool valid = false;
  double work_share = 0;  // of the lane where it is largest
  int64_t crowded = 0;    // tasks that took more than half of what they play
};
EmulationCheck check_emulation(const engine::DeviceStats& device);

// Generated tokens over the whole time, prefill included, nothing padded.
double generated_per_second(const ReportInput& input);

Json report_json(const ReportInput& input);
// At most `columns` wide where it can be; ends with a newline.
std::string report_text(const ReportInput& input, int columns);
// The part about expected answers.
std::string score_text(const Scores& scores, int columns);

}  // namespace sluice::batch
