// Whole runs of the engine on a model: prefill, decode and the whole job at several batch sizes,
// each beside what the machine allows for the work that the stages state. Prompts are random token
// ids, so any model directory will do, one without a tokenizer too.
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/units.h"
#include "engine/engine.h"
#include "engine/host_memory.h"
#include "probe/probe.h"
#include "run_phases.h"
#include "schedule/host_costs.h"

namespace {

using namespace sluice;
using namespace sluice::bench;

// The machine's rates, from a team of the same size as the engine's.
class Machine {
 public:
  Machine(int threads, kernels::Isa isa) : team_(threads), exec_{&kernels::op_table(isa), &team_} {}
  probe::CpuRates measure() {
    return must(probe::measure_cpu(exec_, int64_t{1} << 30, 60, &probe::wall_seconds));
  }

 private:
  base::ThreadTeam team_;
  kernels::Exec exec_;
};

// Seconds that the stated work takes at these rates: max(bytes / b, flops / p), stage by stage
// (HRM eq. 14).
double allowed_seconds(const Phase& phase, double reads, double flops) {
  double seconds = 0;
  for (const engine::StageStats& stage : phase.stages)
    seconds += std::max(stage.cost.bytes() / reads, stage.cost.flops / flops);
  return seconds;
}

// What products with this format are made of; f32's where this CPU has no such instruction.
double peak_of(const probe::CpuRates& rates, tensor::DType format) {
  const std::string arithmetic = schedule::arithmetic_of(format);
  if (arithmetic == "int8" && rates.int8_ops > 0) return rates.int8_ops;
  if (arithmetic == "bf16" && rates.bf16_flops > 0) return rates.bf16_flops;
  return rates.f32_flops;
}

Json phase_json(const Phase& phase, const probe::CpuRates& rates, tensor::DType format) {
  Json stages = Json::object();
  models::Cost work;
  for (size_t i = 0; i < phase.stages.size(); ++i) {
    const engine::StageStats& stage = phase.stages[i];
    if (stage.tasks == 0) continue;
    work += stage.cost;
    stages[models::name(static_cast<models::StageKind>(i))] = {
        {"tasks", stage.tasks},
        {"measured_busy_seconds", stage.busy_seconds},
        {"estimated_bytes", stage.cost.bytes()},
        {"estimated_flops", stage.cost.flops}};
  }
  Json json = {{"tokens", phase.tokens},
               {"measured_seconds", phase.seconds},
               {"measured_tokens_per_second", phase.tokens_per_second()},
               {"estimated_bytes_per_second", work.bytes() / phase.seconds},
               {"estimated_flops_per_second", work.flops / phase.seconds},
               {"stages", std::move(stages)}};
  if (phase.disk.all_pages > 0) {
    json["disk"] = {{"experts_read", phase.disk.pages},
                    {"bytes_read", phase.disk.bytes},
                    {"busy_seconds", phase.disk_busy_seconds},
                    {"experts_in_memory", phase.disk.resident_pages},
                    {"experts", phase.disk.all_pages}};
  }
  if (rates.f32_flops > 0) {
    const double peak = peak_of(rates, format);
    json["roofline_share"] =
        allowed_seconds(phase, rates.read_bytes_per_second, peak) / phase.seconds;
    json["measured_peak_flops"] = peak;  // of this model's products
    json["measured_read_bytes_per_second"] = rates.read_bytes_per_second;
    json["measured_f32_flops"] = rates.f32_flops;
    json["measured_bf16_flops"] = rates.bf16_flops;
    json["measured_int8_ops"] = rates.int8_ops;
  }
  return json;
}

constexpr struct {
  const char* name;
  Phase (Runs::*body)(int64_t);
} kPhases[] = {{"prefill", &Runs::prefill}, {"decode", &Runs::decode}, {"whole", &Runs::whole}};

bool wants(const Options& options, const char* phase) {
  return std::ranges::find(options.phases, phase) != options.phases.end();
}

void print_heading(const Options& options, kernels::KvDType kv) {
  std::printf("%s, %s, %d threads, schedule %s, KV in %s, prompts of %lld tokens, %lld generated\n",
              probe::cpu_model().c_str(), options.isa.c_str(), options.threads,
              options.schedule.c_str(), kernels::name(kv), static_cast<long long>(options.prompt),
              static_cast<long long>(options.generate));
  std::printf(
      "tok/s, reads and the peak are measured; GB/s and GFLOP/s are the stages' estimates\n");
  std::printf("%5s %-8s %10s %10s %11s %10s %12s %10s\n", "batch", "phase", "tok/s", "GB/s",
              "GFLOP/s", "reads GB/s", "peak GFLOP/s", "roofline");
}

void print_row(int64_t batch, const char* name, const Json& json) {
  std::printf("%5lld %-8s %10.1f %10.1f %11.1f", static_cast<long long>(batch), name,
              json["measured_tokens_per_second"].get<double>(),
              json["estimated_bytes_per_second"].get<double>() / 1e9,
              json["estimated_flops_per_second"].get<double>() / 1e9);
  if (json.contains("roofline_share")) {
    std::printf(" %10.1f %12.1f %9.0f%%",
                json["measured_read_bytes_per_second"].get<double>() / 1e9,
                json["measured_peak_flops"].get<double>() / 1e9,
                100 * json["roofline_share"].get<double>());
  }
  if (json.contains("disk")) {
    const Json& disk = json["disk"];
    std::printf(
        "  disk %.2f GB/s, busy %.0f%%, %lld of %lld experts in memory",
        disk["bytes_read"].get<double>() / std::max(disk["busy_seconds"].get<double>(), 1e-9) / 1e9,
        100 * disk["busy_seconds"].get<double>() / json["measured_seconds"].get<double>(),
        disk["experts_in_memory"].get<long long>(), disk["experts"].get<long long>());
  }
  std::printf("\n");
}

void run(const Options& options, engine::Engine& engine) {
  std::unique_ptr<Machine> machine;
  if (options.probe)
    machine = std::make_unique<Machine>(options.threads, *kernels::parse_isa(options.isa));
  Runs runs(options, engine);
  (void)runs.prefill(1);  // the first touches its pages
  if (!options.json) print_heading(options, engine.plan().kv_dtype);
  for (size_t i = 0; i < static_cast<size_t>(options.rounds) * options.batches.size(); ++i) {
    const int64_t batch = options.batches[i % options.batches.size()];
    for (const auto& [name, body] : kPhases) {
      if (!wants(options, name)) continue;
      probe::CpuRates rates = machine ? machine->measure() : probe::CpuRates{};
      const Phase phase = (runs.*body)(batch);
      if (machine) {
        // Other work on the machine only slows a measurement down.
        const probe::CpuRates after = machine->measure();
        rates.read_bytes_per_second =
            std::max(rates.read_bytes_per_second, after.read_bytes_per_second);
        rates.f32_flops = std::max(rates.f32_flops, after.f32_flops);
        rates.bf16_flops = std::max(rates.bf16_flops, after.bf16_flops);
        rates.int8_ops = std::max(rates.int8_ops, after.int8_ops);
      }
      Json json = phase_json(phase, rates, engine.expert_format());
      json["batch"] = batch;
      json["phase"] = name;
      json["threads"] = options.threads;
      json["kv_dtype"] = kernels::name(engine.plan().kv_dtype);
      json["isa"] = options.isa;
      if (options.json) {
        std::printf("%s\n", json.dump().c_str());
      } else {
        print_row(batch, name, json);
      }
      std::fflush(stdout);
    }
  }
}

void use_small_pages() {
  if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
    fail({.message = "this system cannot do without 2 MiB pages; leave --small-pages away"});
}

void add_cache_and_format(CLI::App& app, Options& options) {
  app.add_option("--kv-cache-memory", options.kv_cache_memory, "bytes; 0: half of what is free");
  app.add_option("--quant", options.quant, "none, bf16, q8, q4 or mxfp4");
  app.add_option("--kv-dtype", options.kv_dtype, "auto, f32, f16, bf16 or q8")
      ->capture_default_str();
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App app("Measures whole runs of the engine, with their share of the roofline.");
  Options options;
  const CLI::Range count_range(int64_t{1}, int64_t{1} << 20);
  app.add_option("MODEL", options.model, "a Hugging Face directory")->required();
  app.add_option("--batch", options.batches, "sequences at the same time, as 1,8,32,64")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{4096}));
  app.add_option("--prompt", options.prompt, "tokens of each prompt")
      ->check(count_range)
      ->capture_default_str();
  app.add_option("--generate", options.generate, "tokens generated for each")
      ->check(count_range)
      ->capture_default_str();
  app.add_option("--phases", options.phases, "of each batch, of prefill,decode,whole: these")
      ->delimiter(',')
      ->check(CLI::IsMember({"prefill", "decode", "whole"}));
  app.add_option("--max-num-tokens", options.max_num_tokens, "rows of one iteration")
      ->check(count_range)
      ->capture_default_str();
  add_cache_and_format(app, options);
  std::vector<std::string> isas;
  for (kernels::Isa isa : kernels::available_isas()) isas.push_back(kernels::name(isa));
  app.add_option("--isa", options.isa, "an instruction set of this CPU")
      ->check(CLI::IsMember(isas))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: the cores this process may use");
  app.add_option("--rounds", options.rounds, "how often all of it is measured")
      ->check(CLI::Range(1, 1000));
  app.add_option("--schedule", options.schedule, "as `sluice batch` names them")
      ->capture_default_str();
  std::string host_memory;
  app.add_option("--host-memory", host_memory, "all that this process may hold, such as 2.4G");
  app.add_option("--max-seq-len", options.max_seq_len, "0: what the KV cache allows");
  bool small_pages = false;
  app.add_flag("--small-pages", small_pages, "no 2 MiB pages, to see what they are worth");
  app.add_flag("!--no-probe", options.probe, "do not measure the machine's own rates");
  app.add_flag("--json", options.json, "one JSON object per line, with every stage");
  CLI11_PARSE(app, count, arguments);

  if (small_pages) use_small_pages();
  if (options.threads == 0) options.threads = engine::available_cores();
  engine::EngineOptions load;
  load.schedule = options.schedule;
  load.threads = options.threads;
  load.max_batch_size = *std::ranges::max_element(options.batches);
  load.max_num_tokens = std::max(options.max_num_tokens, load.max_batch_size);
  load.max_seq_len = options.max_seq_len;
  load.kv_cache_memory = options.kv_cache_memory;
  if (!host_memory.empty()) load.host_memory = must(base::parse_bytes(host_memory));
  load.quant = options.quant;
  load.kv_dtype = options.kv_dtype;
  load.isa = kernels::parse_isa(options.isa);
  load.max_queued_requests = load.max_batch_size;
  load.prefix_sharing = false;
  const auto engine = must(engine::Engine::load(options.model, load));
  run(options, *engine);
  return 0;
}
