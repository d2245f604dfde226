// sluice batch MODEL -i IN.jsonl -o OUT.jsonl
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include "batch/engine_text.h"
#include "batch/job.h"
#include "batch/progress.h"
#include "batch/report.h"
#include "cli/auto_plan.h"
#include "cli/command.h"
#include "cli/engine_flags.h"
#include "cli/exit_codes.h"
#include "cli/machine.h"
#include "cli/plan_file.h"
#include "cli/quiet_check.h"
#include "cli/sampling_flags.h"
#include "cli/terminal.h"
#include "engine/host_memory.h"
#include "pipeline/trace.h"
#include "schedule/host_costs.h"

namespace sluice::cli {
namespace {

struct BatchFlags {
  std::string model, input, output, expected, served_model_name, plan;
  const CLI::App* command = nullptr;
  EngineFlags engine;
  engine::SamplingParams sampling;
  uint64_t seed = 0;
  int64_t default_max_tokens = 256;
  int64_t sort_window = 1024;
  bool force = false, json = false, no_probe = false, quiet = false, retry_errors = false;
};

int64_t now_unix_s() { return static_cast<int64_t>(std::time(nullptr)); }

int64_t now_local_s() {
  const std::time_t now = std::time(nullptr);
  struct tm local = {};
  ::localtime_r(&now, &local);
  return static_cast<int64_t>(now) + local.tm_gmtoff;
}

int fail_resumable(const Error& error) {
  if (error.code == ErrorCode::kFault) {
    fail({error.code,
          error.message + "; what is answered is kept: mend that, and the same command goes on"});
    return kBroken;
  }
  if (error.code != ErrorCode::kNoRoom) return fail(error);
  fail({error.code, error.message + "; make room, and the same command goes on"});
  return kDiskFull;
}

// Everything that a change of would change answers; of the KV cache what it is, not what was asked.
Json settings_json(const BatchFlags& flags, kernels::KvDType kv_dtype) {
  Json settings = {{"format", 1},
                   {"seed", flags.seed},
                   {"default_max_tokens", flags.default_max_tokens},
                   {"max_seq_len", flags.engine.options.max_seq_len},
                   {"quant", flags.engine.options.quant},
                   {"kv_dtype", kernels::name(kv_dtype)}};
  settings.update(sampling_json(flags.sampling));
  return settings;
}

// The run itself, from what is loaded to the exit code.
class BatchRun {
 public:
  BatchRun(const BatchFlags& flags, batch::Job& job, engine::Engine& engine)
      : flags_(flags), job_(job), engine_(engine) {}

  Status prepare(std::optional<batch::Scorer> scorer) {
    scorer_ = std::move(scorer);
    if (scorer_) scorer_->set_shape(engine_.config().layer_count(), engine_.config().max_experts());
    return job_.prepare(engine_.fingerprint(), settings_json(flags_, engine_.plan().kv_dtype));
  }

  Status answer(batch::ReportInput& report) {
    std::atomic<int>& interrupts = count_interrupts(true);
    const bool live = is_terminal(2) && !flags_.quiet;
    batch::Progress progress({.live = live, .columns = [] { return columns(2); }},
                             [this](const std::string& text) {
                               if (flags_.quiet) return;
                               std::fputs(text.c_str(), stderr);
                               std::fflush(stderr);
                             });
    bool told = false;
    batch::RunnerHooks hooks;
    hooks.now_unix_s = now_unix_s;
    hooks.stop_requested = &interrupts;
    hooks.on_progress = [&](const batch::RunState& state, const engine::EngineStats& stats) {
      progress.update(state, stats);
      if (interrupts == 0 || told) return;
      told = true;
      progress.clear();
      std::fprintf(stderr, "finishing what is running; Ctrl-C again stops at once\n");
    };
    if (scorer_) {
      hooks.on_output = [this](const batch::ReadyLine& line, const engine::RequestOutput& output) {
        scorer_->add_experts(line.custom_id, output.expert_tokens);
      };
    }
    batch::FeederOptions feeder;
    feeder.default_max_tokens = flags_.default_max_tokens;
    feeder.window_lines = flags_.sort_window;
    feeder.sampling = flags_.sampling;
    feeder.model_name = report.model;
    feeder.any_model_name = flags_.served_model_name.empty();
    const batch::EngineText text(engine_.tokenizer(), engine_.chat_template(),
                                 job_.begun_local_s());
    const Status ran = job_.run(engine_, text, feeder,
                                {text, report.model, "fp_" + engine_.fingerprint().substr(0, 16)},
                                hooks, report.state);
    progress.clear();
    restore_interrupts();
    report.stats = engine_.stats();
    report.plan = engine_.plan();
    return ran;
  }

  int conclude(batch::ReportInput& report) {
    if (scorer_) {
      auto scores = scorer_->score(job_.output());
      if (!scores) return fail(scores.error());
      report.scores = std::move(*scores);
    }
    if (flags_.json) {
      std::printf("%s\n", base::to_line(batch::report_json(report)).c_str());
    } else {
      std::fputs(batch::report_text(report, columns(1)).c_str(), stdout);
    }
    if (report.state.stopped) {
      std::fprintf(stderr, "stopped; the same command goes on\n");
      return kInterrupted;
    }
    const int64_t failed = report.state.failed + job_.failed_before();
    return failed > 0 ? kErrorLines : kOk;
  }

 private:
  const BatchFlags& flags_;
  batch::Job& job_;
  engine::Engine& engine_;
  std::optional<batch::Scorer> scorer_;
};

std::optional<hardware::Hardware> this_machine(const BatchFlags& flags) {
  if (flags.no_probe) return std::nullopt;
  const int threads = flags.engine.options.threads;
  const std::string cache = hardware_cache_path(threads);
  if (!flags.quiet && !std::filesystem::exists(cache))
    std::fprintf(
        stderr,
        "measuring the peaks of this machine for the report, once (--no-probe leaves it out)\n");
  const auto probed = measured_hardware(cache, threads);
  if (!probed) {
    std::fprintf(stderr, "sluice: not measured against this machine: %s\n",
                 probed.error().message.c_str());
    return std::nullopt;
  }
  return probed->hardware;
}

int batch_command(BatchFlags flags) {
  // What may be wrong on the command line is found before the model is loaded.
  auto options = engine_options(flags.engine);
  if (!options) return fail(options.error());
  std::optional<plan::Plan> planned;
  if (!flags.plan.empty()) {
    auto read = apply_plan(flags.plan, *flags.command, *options);
    if (!read) return fail(read.error());
    planned = std::move(*read);
    flags.engine.options.max_seq_len = options->max_seq_len;
    flags.engine.options.quant = options->quant;
  }
  std::optional<batch::Scorer> scorer;
  if (!flags.expected.empty()) {
    auto opened = batch::Scorer::open(flags.expected);
    if (!opened) return fail(opened.error());
    scorer = std::move(*opened);
  }
  auto job = batch::Job::open({.input_path = flags.input,
                               .output_path = flags.output,
                               .force = flags.force,
                               .retry_faults = flags.retry_errors,
                               .now_local_s = now_local_s()});
  if (!job) return fail_resumable(job.error());

  batch::ReportInput report;
  report.model =
      flags.served_model_name.empty() ? model_name(flags.model) : flags.served_model_name;
  auto model = open_to_load(flags.model, *options, report.load_seconds);
  if (!model) return fail(model.error());
  const auto machine = this_machine(flags);
  if (machine) options->machine = std::make_shared<const hardware::Hardware>(*machine);
  const std::string chosen = planned || flags.no_probe
                                 ? std::string()
                                 : choose_batch_policy(*model, *flags.command, (*job)->input(),
                                                       flags.default_max_tokens, *options);
  options->seed = flags.seed;
  options->per_request_experts = scorer.has_value();
  std::optional<pipeline::Trace> trace;
  if (!flags.engine.trace_path.empty()) options->trace = &trace.emplace();
  auto engine = load_engine(std::move(*model), *options, report.load_seconds);
  if (!engine) return fail(engine.error());
  if (!chosen.empty() && !flags.quiet) std::fprintf(stderr, "sluice: %s\n", chosen.c_str());
  if (planned) {
    if (const Status held = holds(*planned, (*engine)->plan()); !held) return fail(held.error());
  }
  if (machine)
    report.limits = limits_of(*machine, schedule::arithmetic_of((*engine)->expert_format()));

  BatchRun run(flags, **job, **engine);
  if (const Status ready = run.prepare(std::move(scorer)); !ready)
    return fail_resumable(ready.error());
  if (const Status ran = run.answer(report); !ran) return fail_resumable(ran.error());
  if (trace) {
    if (const Status written = trace->write(flags.engine.trace_path); !written)
      return fail(written.error());
  }
  report.peak_memory_bytes = engine::peak_process_memory();
  return run.conclude(report);
}

}  // namespace

void add_batch(CLI::App& program, Action& action) {
  auto flags = std::make_shared<BatchFlags>();
  CLI::App* command =
      program.add_subcommand("batch", "Answers a file of prompts: OpenAI batch lines in and out");
  command
      ->add_option("MODEL", flags->model,
                   "a Hugging Face directory, a GGUF file, or a built directory")
      ->required()
      ->type_name("DIR");
  command->add_option("-i,--input", flags->input, "JSONL of requests; - is standard input")
      ->required();
  command
      ->add_option("-o,--output", flags->output, "JSONL of answers; OUTPUT.journal lies beside it")
      ->required();
  command
      ->add_option("--default-max-tokens", flags->default_max_tokens,
                   "where a body names no max_tokens")
      ->check(quiet(CLI::Range(int64_t{1}, batch::kMaxTokensAsked)))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "for requests that name none")->capture_default_str();
  command->add_option("--served-model-name", flags->served_model_name,
                      "answer as this model, and refuse bodies that name another");
  command
      ->add_option("--sort-window", flags->sort_window,
                   "lines read ahead and sorted by length and beginning")
      ->check(quiet(CLI::Range(int64_t{1}, int64_t{1} << 20)))
      ->capture_default_str();
  command
      ->add_option("--plan", flags->plan, "run exactly what 'sluice plan -o' wrote, or say why not")
      ->type_name("FILE");
  flags->command = command;
  command->add_option("--expected", flags->expected,
                      "JSONL of {custom_id, task, expected}: scores the answers by task");
  command->add_flag("--force", flags->force,
                    "go on with an output that another input, model or setting began");
  command->add_flag("--retry-errors", flags->retry_errors,
                    "answer again the lines that failed by faults of the machine (server_error)");
  command->add_flag("--no-probe", flags->no_probe,
                    "do not measure this machine; the report then names no bound, and no policy is "
                    "planned");
  command->add_flag("-q,--quiet", flags->quiet, "nothing on standard error but errors");
  command->add_flag("--json", flags->json, "the closing report as one JSON object");
  add_engine_flags(*command, flags->engine);
  add_sampling_flags(*command, flags->sampling, true);
  command->footer(
      "Examples:\n"
      "  sluice batch examples/demo_model -i prompts.jsonl -o answers.jsonl\n"
      "  cat prompts.jsonl | sluice batch MODEL -i - -o answers.jsonl --temperature 0\n"
      "A line is {\"custom_id\", \"method\", \"url\", \"body\"}, or just {\"prompt\": ...} or\n"
      "{\"messages\": [...]}. Sampling flags fill what a body leaves out. Once 'sluice probe' has\n"
      "measured this machine, what no flag says of schedule and sizes is planned for the input.\n"
      "Killed or interrupted\n"
      "(Ctrl-C finishes what is running, twice stops at once), the same command goes on.");
  command->callback([flags, &action] { action = [flags] { return batch_command(*flags); }; });
}

}  // namespace sluice::cli
