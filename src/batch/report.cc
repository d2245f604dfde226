#include "batch/report.h"

#include <algorithm>

#include "base/units.h"
#include "batch/critical_lane.h"

namespace sluice::batch {
namespace {

Json cost_json(const models::Cost& cost) {
  return {{"flops", cost.flops},
          {"weight_bytes", cost.weight_bytes},
          {"kv_bytes", cost.kv_bytes},
          {"activation_bytes", cost.activation_bytes}};
}

Json stages_json(const engine::EngineStats& stats) {
  Json stages = Json::object();
  for (size_t i = 0; i < stats.stages.size(); ++i) {
    const engine::StageStats& stage = stats.stages[i];
    if (stage.tasks == 0) continue;
    stages[models::name(static_cast<models::StageKind>(i))] = {
        {"tasks", stage.tasks},
        {"busy_seconds", stage.busy_seconds},
        {"estimated", cost_json(stage.cost)}};
  }
  return stages;
}

Json lanes_json(const engine::EngineStats& stats) {
  Json lanes = Json::object();
  for (size_t i = 0; i < stats.lanes.size(); ++i) {
    if (!stats.lanes[i].present) continue;
    lanes[name(static_cast<schedule::Lane>(i))] = {{"busy_seconds", stats.lanes[i].busy_seconds}};
  }
  return lanes;
}

Json seconds_json(const ReportInput& input) {
  const RunState& state = input.state;
  return {{"load", input.load_seconds},
          {"whole", state.seconds},
          {"reading", state.reading_seconds},
          {"computing", state.computing_seconds},
          {"writing", state.writing_seconds},
          {"host_compute_busy", input.stats.lane(schedule::Lane::kHostCompute).busy_seconds}};
}

Json critical_json(const CriticalLane& critical) {
  Json waits = Json::object();
  for (const CriticalLane::Wait& wait : critical.waits) waits[wait.what] = wait.seconds;
  const std::string rest = bubble_text(critical);
  return {{"lane", name(critical.lane)},
          {"busy_share", critical.busy_share()},
          {"bubble_seconds", critical.bubble_seconds},
          {"waited_seconds_for", std::move(waits)},
          {"sentence", busy_text(critical) + (rest.empty() ? "" : "; ") + rest}};
}

Json scores_json(const Scores& scores) {
  Json tasks = Json::array();
  for (const TaskScore& task : scores.tasks) {
    tasks.push_back({{"task", task.task},
                     {"expected", task.expected},
                     {"correct", task.correct},
                     {"wrong", task.wrong},
                     {"error_lines", task.failed},
                     {"missing", task.missing},
                     {"expert_tokens", task.expert_tokens}});
  }
  const TaskScore all = scores.total();
  return {{"expected", all.expected},
          {"correct", all.correct},
          {"layers", scores.layers},
          {"experts", scores.experts},
          {"task_expert_information_bits", scores.information_bits},
          {"tasks", std::move(tasks)}};
}

}  // namespace

double generated_per_second(const ReportInput& input) {
  return base::ratio(static_cast<double>(input.stats.generated_tokens), input.state.seconds);
}

Bound bound_of(const engine::EngineStats& stats, const std::optional<MachineLimits>& limits) {
  Bound bound;
  double busy = 0, allowed = 0, by_memory = 0;
  for (const engine::StageStats& stage : stats.stages) {
    busy += stage.busy_seconds;
    bound.work += stage.cost;
    if (!limits) continue;
    // T = max(bytes / b, flops / p), stage by stage   // HRM eq. 14
    const double memory = base::ratio(stage.cost.bytes(), limits->read_bytes_per_second);
    const double arithmetic = base::ratio(stage.cost.flops, limits->flops_per_second);
    allowed += std::max(memory, arithmetic);
    by_memory += memory >= arithmetic ? memory : 0;
  }
  bound.bytes_per_second = base::ratio(bound.work.bytes(), busy);
  bound.flops_per_second = base::ratio(bound.work.flops, busy);
  // This machine's limits say nothing of one that it plays.
  bound.known = limits && busy > 0 && allowed > 0 && !stats.device.present;
  bound.by_memory = by_memory * 2 >= allowed;
  bound.share = base::ratio(allowed, busy);
  return bound;
}

EmulationCheck check_emulation(const engine::DeviceStats& device) {
  EmulationCheck check;
  double played = 0, crowded = 0;
  for (const engine::PacedLane* lane :
       {&device.compute, &device.host, &device.to_device, &device.to_host}) {
    check.work_share =
        std::max(check.work_share, base::ratio(lane->work_seconds, lane->busy_seconds));
    check.crowded += lane->crowded;
    played = std::max(played, lane->busy_seconds);
    crowded += lane->crowded_seconds;
  }
  check.valid = crowded * 100 <= played;
  return check;
}

namespace {

Json lane_json(const engine::PacedLane& lane) {
  return {{"busy_seconds", lane.busy_seconds},
          {"work_seconds", lane.work_seconds},
          {"crowded_tasks", lane.crowded},
          {"crowded_seconds", lane.crowded_seconds},
          {"bytes", lane.bytes}};
}

Json disk_json(const engine::EngineStats& stats, bool guesses) {
  const engine::DiskStats& disk = stats.disk;
  Json json = {{"experts_read", disk.pages},
               {"bytes_read", disk.bytes},
               {"embedding_rows_read", disk.rows},
               {"embedding_bytes_read", disk.row_bytes},
               {"kv_bytes_read", disk.kv_read_bytes},
               {"kv_bytes_written", disk.kv_written_bytes},
               {"reads_repeated", disk.retries},
               {"busy_seconds", stats.lane(schedule::Lane::kDisk).busy_seconds},
               {"made_from_checkpoint", disk.made},
               {"experts_in_memory", disk.resident_pages},
               {"experts", disk.all_pages}};
  if (guesses) {
    json["guesses"] = {{"experts", disk.guesses.experts},
                       {"right", disk.guesses.right},
                       {"experts_read", disk.guesses.pages},
                       {"useless_reads", disk.guesses.useless_pages},
                       {"useful_seconds", disk.guesses.useful_seconds},
                       {"useless_bytes", disk.guesses.useless_bytes}};
  }
  return json;
}

Json device_json(const engine::DeviceStats& device) {
  const EmulationCheck check = check_emulation(device);
  return {{"valid", check.valid},
          {"work_share", check.work_share},
          {"crowded_tasks", check.crowded},
          {"device", lane_json(device.compute)},
          {"host", lane_json(device.host)},
          {"host_to_device", lane_json(device.to_device)},
          {"device_to_host", lane_json(device.to_host)},
          {"experts_on_device", device.resident_pages},
          {"experts", device.all_pages}};
}

}  // namespace

Json report_json(const ReportInput& input) {
  const RunState& state = input.state;
  const engine::EngineStats& stats = input.stats;
  Json json = {{"model", input.model},
               {"requests",
                {{"total", state.requests},
                 {"answered", state.answered},
                 {"error_lines", state.failed},
                 {"machine_faults", state.faulted},
                 {"answered_before", state.answered_before},
                 {"other_model_names", state.other_models}}},
               {"complete", state.at_end},
               {"tokens",
                {{"prompt", stats.prompt_tokens},
                 {"prompt_cached", stats.cached_prompt_tokens},
                 {"computed", stats.computed_tokens},
                 {"generated", stats.generated_tokens}}},
               {"seconds", seconds_json(input)},
               {"generated_tokens_per_second", generated_per_second(input)},
               {"prompt_tokens_per_second",
                base::ratio(static_cast<double>(stats.prompt_tokens), state.seconds)},
               {"batch",
                {{"occupancy", base::ratio(static_cast<double>(stats.sequence_slots_used),
                                           static_cast<double>(stats.sequence_slots))},
                 {"iterations", stats.iterations},
                 {"iterations_repeated", stats.failed_iterations},
                 {"preemptions", stats.preemptions},
                 {"moved_between_micro_batches", stats.moved}}},
               {"stages", stages_json(stats)},
               {"lanes", lanes_json(stats)},
               {"expert_tokens", stats.expert_tokens},
               {"peak_memory_bytes", input.peak_memory_bytes},
               {"plan", plan::to_json(input.plan)}};
  if (stats.disk.works()) {
    json["disk"] = disk_json(stats, input.plan.policy.guess_experts);
  }
  if (stats.device.present) json["emulated_device"] = device_json(stats.device);
  if (const auto critical = critical_lane(stats, state.seconds))
    json["critical_lane"] = critical_json(*critical);
  const Bound bound = bound_of(stats, input.limits);
  if (bound.known) {
    json["bound"] = {{"by", bound.by_memory ? "memory bandwidth" : "compute"},
                     {"share", bound.share},
                     {"estimated_bytes_per_second", bound.bytes_per_second},
                     {"estimated_flops_per_second", bound.flops_per_second},
                     {"limit_source", input.limits->measured ? "measured" : "stated"},
                     {"limit_bytes_per_second", input.limits->read_bytes_per_second},
                     {"limit_flops_per_second", input.limits->flops_per_second},
                     {"limit_dtype", input.limits->dtype}};
  }
  if (input.scores) json["scores"] = scores_json(*input.scores);
  return json;
}

}  // namespace sluice::batch
