#include "cli/plan_question.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "base/check.h"
#include "base/units.h"
#include "cli/machine.h"
#include "cli/plan_model.h"
#include "cli/plan_workload.h"
#include "cli/quiet_check.h"
#include "engine/host_memory.h"
#include "hardware/presets.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kMostDevices = 72;

Error wrong(const std::string& message) { return {ErrorCode::kInvalid, message}; }

Result<int64_t> bytes_flag(const char* flag, const std::string& text) {
  if (text.empty()) return int64_t{0};
  auto bytes = base::parse_bytes(text);
  if (!bytes.ok()) return bytes.error().in(flag);
  if (*bytes == 0) return wrong(std::string(flag) + " must be more than 0");
  return bytes;
}

Status limit(hardware::Hardware& hardware, hardware::LevelKind kind, const char* flag,
             int64_t bytes) {
  if (bytes == 0) return {};
  for (hardware::Level& level : hardware.levels) {
    if (level.kind != kind) continue;
    level.capacity_bytes = bytes;
    return {};
  }
  return wrong(std::string(flag) + " limits a level that '" + hardware.name + "' does not have");
}

// A file, parts of presets, or this machine as it was measured.
Result<hardware::Hardware> read_hardware(const PlanFlags& flags) {
  SLUICE_ASSIGN(const int64_t host_memory, bytes_flag("--host-memory", flags.host_memory));
  SLUICE_ASSIGN(const int64_t device_memory, bytes_flag("--device-memory", flags.device_memory));
  const bool parts = !flags.device.empty() || !flags.host.empty() || !flags.disk.empty();
  if (parts && !flags.hardware.empty())
    return wrong("--hardware names a whole machine; leave out --device, --host and --disk");
  hardware::Hardware hardware;
  if (parts) {
    SLUICE_ASSIGN(hardware, hardware::combine({.device = flags.device,
                                               .host = flags.host,
                                               .disk = flags.disk,
                                               .host_memory_bytes = host_memory}));
  } else if (!flags.hardware.empty()) {
    SLUICE_ASSIGN(hardware, hardware::read_file(flags.hardware));
  } else {
    const std::string cache = hardware_cache_path(0);
    if (!fs::exists(cache)) std::fprintf(stderr, "measuring this machine, once\n");
    SLUICE_ASSIGN(probe::Probed probed, measured_hardware(cache, 0));
    hardware = std::move(probed.hardware);
    for (hardware::Level& level : hardware.levels) {
      if (level.kind == hardware::LevelKind::kHost)
        level.capacity_bytes = engine::available_host_memory();
    }
  }
  SLUICE_TRY(limit(hardware, hardware::LevelKind::kHost, "--host-memory", host_memory));
  SLUICE_TRY(limit(hardware, hardware::LevelKind::kDevice, "--device-memory", device_memory));
  return hardware;
}

// The flags' checks let nothing else through.
planner::Objective objective_of(const std::string& text) {
  for (const auto objective :
       {planner::Objective::kThroughput, planner::Objective::kLatency, planner::Objective::kEnergy})
    if (text == planner::name(objective)) return objective;
  base::check_failed("a known objective", "the flag was checked", __FILE__, __LINE__);
}

// Those that may be chosen, the finest first.
std::vector<std::string> quants_of(const PlanFlags& flags) {
  if (flags.quant != "auto") return {flags.quant};
  const int floor = planner::fineness(flags.quant_floor);
  std::vector<std::string> quants;
  for (const char* quant : {"none", "q8", "q4", "mxfp4"})
    if (planner::fineness(quant) >= floor) quants.emplace_back(quant);
  return quants;
}

// Of `model`, if it was run here and its use of experts counted.
Result<planner::RoutingSkew> skew_of(const std::string& text, const std::string& model,
                                     const std::optional<engine::OpenModel>& here) {
  planner::RoutingSkew skew;
  if (text == "uniform") return skew;
  if (text == "auto" || text == "measured") {
    if (const auto fingerprint = here ? engine::fingerprint_of(*here) : std::string();
        fingerprint.ok() && here)
      skew.measured = measured_routing(here->model.config, *fingerprint);
    if (skew.measured.empty() && text == "measured") {
      return wrong("--router measured: no run of '" + model +
                   "' here has counted its experts; one whose experts move (--host-memory, "
                   "--device) does");
    }
    return skew;
  }
  if (text.starts_with("zipf:")) {
    std::istringstream number(text.substr(5));
    if (number >> skew.zipf_exponent && number.eof() && skew.zipf_exponent >= 0 &&
        skew.zipf_exponent <= 4)
      return skew;
  }
  return wrong("--router is '" + text +
               "'; auto, measured, uniform or zipf:S, S from 0 to 4, is expected");
}

// Nothing, and nothing asked for: all are searched.
Result<std::vector<plan::Place>> places_of(const PlanFlags& flags,
                                           const hardware::Hardware& hardware) {
  std::vector<plan::Place> places;
  if (flags.experts_on.empty()) return places;
  if (hardware.find(hardware::LevelKind::kDevice) == nullptr)
    return wrong("--experts-on needs a --device, beside which there is a choice");
  for (const auto place : {plan::Place::kHost, plan::Place::kDevice, plan::Place::kAuto}) {
    if (flags.experts_on == plan::name(place)) places.push_back(place);
  }
  return places;
}

void add_machine_flags(CLI::App& command, PlanFlags& flags) {
  const auto add = [&](const char* name, std::string& value, const char* what) {
    command.add_option(name, value, what)->group("Machine")->type_name("NAME");
  };
  add("--hardware", flags.hardware,
      "hardware.json of a machine (default: this one, as sluice probe measures it)");
  add("--device", flags.device, "a device by name, such as t4, l4, rtx-4090, h100");
  add("--host", flags.host, "a host by name, such as xeon-24c, epyc-9654, ryzen-7950x");
  add("--disk", flags.disk, "a disk by name: sata, nvme-gen3, nvme-gen4, nvme-gen5");
  add("--host-memory", flags.host_memory, "of the host, such as 192G");
  add("--device-memory", flags.device_memory, "of each device, such as 16G");
  command.add_option("--devices", flags.devices, "of them, sharing every layer")
      ->group("Machine")
      ->check(quiet(CLI::Range(1, kMostDevices)));
}

void add_policy_flags(CLI::App& command, PlanFlags& flags) {
  const auto add = [&](const char* name, auto& value, const char* what) {
    return command.add_option(name, value, what)->group("Policy")->capture_default_str();
  };
  const auto size = quiet(CLI::Range(int64_t{1}, int64_t{65536}));
  std::vector<std::string> schedules{"auto"};
  for (const auto& kind : planner::schedule_kinds()) schedules.emplace_back(kind.name);
  add("--objective", flags.objective, "throughput, latency (per output token) or energy")
      ->check(one_of({"throughput", "latency", "energy"}));
  add("--deadline-ms", flags.deadline_ms,
      "of one output token: with latency, the best throughput that keeps it");
  add("--quant", flags.quant, "none, bf16, q8, q4, mxfp4, or auto: the best of them")
      ->check(one_of({"auto", "none", "bf16", "q8", "q4", "mxfp4"}));
  add("--quant-floor", flags.quant_floor, "what auto never goes below: q8, q4, mxfp4")
      ->check(one_of({"q8", "q4", "mxfp4"}));
  add("--kv-dtype", flags.kv_dtype, "auto, f32, f16, bf16, q8")
      ->check(one_of({"auto", "f32", "f16", "bf16", "q8"}));
  add("--router", flags.router,
      "how tokens choose experts: measured (as runs of the model here counted), uniform, zipf:S, "
      "or auto: measured if there is such a count, else uniform");
  add("--schedule", flags.schedule,
      "auto, resident, layer_stream, cgopipe, kv_prefetch; with a device also serial")
      ->check(one_of(schedules));
  add("--experts-on", flags.experts_on,
      "with a device: host, device, or auto, where each expert is sooner (default: searched)")
      ->check(one_of({"auto", "host", "device"}));
  add("--max-batch-size", flags.batch, "sequences in flight (default: searched)")->check(size);
  add("--micro-batch-size", flags.micro_batch, "of one micro-batch (default: searched)")
      ->check(size);
  add("--max-num-tokens", flags.max_num_tokens, "of one iteration (default: searched)")
      ->check(size);
  add("--resident-weights", flags.resident_weights,
      "at most this share of the experts in memory; with a device, on it")
      ->check(quiet(CLI::Range(0.0, 1.0)));
  add("--kv-on", flags.kv_on,
      "host: the whole KV cache in memory, or on the device; disk: a part of it may lie there, if "
      "that is faster")
      ->check(one_of({"host", "disk"}));
  command
      .add_option("--resident-kv", flags.resident_kv,
                  "with a device that attends, or --kv-on disk: the share of the KV cache that "
                  "stays where attention runs (default: searched)")
      ->group("Policy")
      ->check(quiet(CLI::Range(0.0, 1.0)));
  command
      .add_flag("--runnable", flags.runnable,
                "only what this program can run today, not what is costed alone")
      ->group("Policy");
}

}  // namespace

void add_plan_flags(CLI::App& command, PlanFlags& flags) {
  command.add_option("MODEL,--model", flags.model,
                     "a model, a config.json, or a published model by name, such as mixtral-8x22b, "
                     "deepseek-v3 (its shape alone is used)");
  add_machine_flags(command, flags);
  add_workload_flags(command, flags);
  add_policy_flags(command, flags);
}

Result<planner::Question> question_of(const PlanFlags& flags) {
  planner::Question question;
  if (flags.model.empty())
    return wrong("a plan needs a model; name a path, or a published one, such as deepseek-v3");
  SLUICE_ASSIGN(const auto here, read_plan_model(flags.model, question));
  SLUICE_ASSIGN(question.hardware, read_hardware(flags));
  question.devices = flags.devices;
  SLUICE_ASSIGN(question.workload, workload_from(flags, here));
  if (question.workload.max_tokens() > question.model.max_positions) {
    return wrong("the longest sequence of the workload has " +
                 std::to_string(question.workload.max_tokens()) + " tokens, and " +
                 question.model_name + " takes " + std::to_string(question.model.max_positions) +
                 "; give shorter lengths");
  }
  question.objective = objective_of(flags.objective);
  question.deadline_seconds = flags.deadline_ms / 1000;
  question.quants = quants_of(flags);
  if (const auto dtype = kernels::parse_kv_dtype(flags.kv_dtype)) question.kv_dtypes = {*dtype};
  SLUICE_ASSIGN(question.skew, skew_of(flags.router, flags.model, here));
  question.schedule = flags.schedule;
  SLUICE_ASSIGN(question.experts_on, places_of(flags, question.hardware));
  question.batch = flags.batch;
  question.micro_batch = flags.micro_batch;
  question.max_num_tokens = flags.max_num_tokens;
  question.most_resident_weights = flags.resident_weights;
  question.kv_on_disk = flags.kv_on == "disk";
  question.resident_kv = flags.resident_kv;
  question.runnable_only = flags.runnable;
  return question;
}

}  // namespace sluice::cli
