#include "cli/engine_flags.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/units.h"
#include "cli/byte_progress.h"
#include "cli/machine.h"
#include "cli/quiet_check.h"
#include "cli/terminal.h"
#include "schedule/builder.h"

namespace sluice::cli {

namespace {

// Flags of one command, under one heading of its help.
struct Group {
  CLI::App& command;

  static constexpr const char* kName = "Engine";
  template <class T>
  CLI::Option* add(const char* name, T& value, const char* what) const {
    return command.add_option(name, value, what)->group(kName)->type_name("N");
  }
};

void add_batch_flags(const Group& group, engine::EngineOptions& o) {
  const auto size = quiet(CLI::Range(int64_t{1}, int64_t{1} << 40));
  group
      .add("--max-batch-size", o.max_batch_size,
           "sequences in flight (default: 64, less if their KV has no room)")
      ->check(size);
  group
      .add("--micro-batch-size", o.micro_batch_size,
           "sequences of one micro-batch (default: all of the batch)")
      ->check(size);
  group
      .add("--max-num-tokens", o.max_num_tokens,
           "tokens of one iteration; longer prompts go in chunks (default: 512)")
      ->check(size);
  group
      .add("--max-seq-len", o.max_seq_len,
           "prompt and answer of one sequence (default: what the model and the KV cache allow)")
      ->check(size);
}

void add_memory_flags(const Group& group, EngineFlags& flags) {
  engine::EngineOptions& o = flags.options;
  group
      .add("--host-memory", flags.host_memory,
           "all that this process may hold, such as 4G; experts that find no room in it stay on "
           "disk "
           "(default: what the machine and its cgroup have free)")
      ->type_name("BYTES");
  group
      .add("--device", o.device,
           "emulated:FILE, the machine that this hardware.json describes: host memory and cores "
           "that "
           "play its device, paced to its speeds")
      ->type_name("NAME");
  group
      .add("--device-memory", flags.device_memory,
           "of the device, such as 16G (default: all it has)")
      ->type_name("BYTES");
  group
      .add("--resident-weights", o.resident_weights,
           "at most this share of the experts in memory, the others on disk; with a device, on it")
      ->check(quiet(CLI::Range(0.0, 1.0)))
      ->capture_default_str();
  group
      .add("--attention-on", o.attention_on,
           "with a device: host, or device, to which keys and values then move; auto: where the "
           "schedule has it")
      ->type_name("NAME")
      ->check(one_of({"auto", "host", "device"}))
      ->capture_default_str();
  group
      .add("--experts-on", o.experts_on,
           "with a device: device, to which experts move; host; auto, each where it is sooner "
           "done, with few tokens on the host (default: auto with cgopipe, else device)")
      ->type_name("NAME")
      ->check(one_of({"auto", "host", "device"}));
}

void add_embedding_flag(const Group& group, EngineFlags& flags) {
  group
      .add("--embedding-on", flags.options.embedding_on,
           "with experts on disk: disk, of the token embedding only the rows that an iteration "
           "needs are in memory; host, all of it; auto: disk, if that takes less memory")
      ->type_name("NAME")
      ->check(one_of({"auto", "host", "disk"}))
      ->capture_default_str();
}

void add_expert_flags(const Group& group, EngineFlags& flags) {
  group.command
      .add_flag("--no-expert-use", flags.no_expert_use,
                "decide which experts stay in memory without regard to how often each was chosen, "
                "to see what that gains")
      ->group(Group::kName);
  group
      .add("--guess-experts", flags.options.guess_experts,
           "with expert_fetch: on, the router of the next layer is applied to what this one has, "
           "and experts that it may choose are read while the disk has nothing else to do; off; "
           "auto: on")
      ->type_name("NAME")
      ->check(one_of({"auto", "on", "off"}))
      ->capture_default_str();
}

void add_kv_flags(const Group& group, EngineFlags& flags) {
  engine::EngineOptions& o = flags.options;
  group
      .add("--kv-on", o.kv_on,
           "host: the whole KV cache in memory; disk: what finds no room there lies in a scratch "
           "file, is read before it is attended over, and is gone with the program")
      ->type_name("NAME")
      ->check(one_of({"host", "disk"}))
      ->capture_default_str();
  group
      .add("--kv-directory", o.kv_directory,
           "with --kv-on disk: where the scratch file is made (default: beside the model)")
      ->type_name("DIR");
  group
      .add("--resident-kv", o.resident_kv,
           "with attention on a device or --kv-on disk: the share of the KV cache that stays where "
           "attention runs (default: on a device 0, in memory what finds room)")
      ->check(quiet(CLI::Range(0.0, 1.0)));
  group
      .add("--kv-cache-memory", flags.kv_cache_memory,
           "of the KV cache, such as 4G (default: by --kv-cache-free-mem-fraction)")
      ->type_name("BYTES");
  group
      .add("--kv-cache-free-mem-fraction", o.kv_cache_free_mem_fraction,
           "share of the free memory that the KV cache may take")
      ->check(quiet(CLI::Range(0.0, 1.0)))
      ->capture_default_str();
  group.add("--kv-block-tokens", o.kv_block_tokens, "tokens of one KV block, a multiple of 16")
      ->check(quiet(CLI::Range(16, 1024)))
      ->capture_default_str();
  group
      .add(
          "--kv-dtype", o.kv_dtype,
          "what the KV cache keeps a value in: f32 (4 bytes), to compare with f32 programs; f16 "
          "(2), "
          "which ends at 65504; bf16 (2); q8 (1, and 4 for each key and value of a head), when the "
          "cache limits the batch or the context; auto, as the weights are stored: f32, bf16, else "
          "f16")
      ->type_name("NAME")
      ->check(one_of({"auto", "f32", "f16", "bf16", "q8"}))
      ->capture_default_str();
  group
      .add("--kv-reserve-fraction", o.kv_reserve_fraction,
           "share of max_tokens whose KV is set aside before a request starts; below 1 more run "
           "side by "
           "side, and the youngest is set back when blocks run out")
      ->check(quiet(CLI::Range(0.0, 1.0)))
      ->capture_default_str();
}

// An empty text leaves the default.
Status parse_memory(const char* flag, const std::string& text, int64_t& bytes) {
  if (text.empty()) return {};
  auto parsed = base::parse_bytes(text);
  if (!parsed) return parsed.error().in(flag);
  if (*parsed == 0) {
    return Error{ErrorCode::kInvalid, std::string(flag) + " must be more than 0"};
  }
  bytes = *parsed;
  return {};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void add_engine_flags(CLI::App& command, EngineFlags& flags) {
  engine::EngineOptions& o = flags.options;
  const Group group{command};
  std::vector<std::string> schedules{"auto"};
  for (const schedule::Builder* builder : schedule::builders())
    schedules.emplace_back(builder->name());
  add_batch_flags(group, o);
  add_memory_flags(group, flags);
  add_embedding_flag(group, flags);
  add_expert_flags(group, flags);
  add_kv_flags(group, flags);
  group.command
      .add_flag("--no-prefix-sharing", flags.no_prefix_sharing,
                "compute every prompt whole, even what others begin with")
      ->group(Group::kName);
  group
      .add(
          "--quant", o.quant,
          "quantize matrices while loading: none, bf16, q8, q4, mxfp4; the rows that they meet are "
          "rounded too, to bf16 or to 8 bits; routers and norms stay exact")
      ->type_name("NAME")
      ->check(one_of({"none", "bf16", "q8", "q4", "mxfp4"}))
      ->capture_default_str();
  group
      .add("--schedule", o.schedule,
           "how iterations become tasks: resident, everything in memory; layer_stream, experts "
           "that do not fit are read from disk layers ahead, for batches; expert_fetch, when a "
           "router has asked for them, for few sequences; serial, nothing side by side; auto: "
           "resident if everything fits, else layer_stream. With a --device: cgopipe, layers "
           "there, attention on the host, experts moving between; kv_prefetch, attention there "
           "too, keys and values moving ahead; serial; auto: cgopipe, unless --attention-on says "
           "device")
      ->type_name("NAME")
      ->check(one_of(schedules))
      ->capture_default_str();
  group
      .add("--threads", o.threads, "of the compute lane (default: the cores this process may use)")
      ->check(quiet(CLI::Range(1, 1024)));
  group.add("--trace", flags.trace_path, "write every task to this file, for ui.perfetto.dev")
      ->type_name("FILE");
}

Result<engine::EngineOptions> engine_options(const EngineFlags& flags) {
  engine::EngineOptions options = flags.options;
  options.prefix_sharing = !flags.no_prefix_sharing;
  options.measured_residency = !flags.no_expert_use;
  options.expert_use_directory = expert_use_directory();
  SLUICE_TRY(parse_memory("--kv-cache-memory", flags.kv_cache_memory, options.kv_cache_memory));
  SLUICE_TRY(parse_memory("--host-memory", flags.host_memory, options.host_memory));
  SLUICE_TRY(parse_memory("--device-memory", flags.device_memory, options.device_memory));
  // Found out now, not when the run is over.
  if (!flags.trace_path.empty() && !std::ofstream(flags.trace_path, std::ios::app))
    return Error{ErrorCode::kIo, "cannot write the trace to '" + flags.trace_path + "'"};
  return options;
}

Result<engine::OpenedModel> open_to_load(const std::string& model,
                                         const engine::EngineOptions& options, double& seconds) {
  const auto start = std::chrono::steady_clock::now();
  auto opened = engine::open_to_load(model, options.quant);
  seconds += seconds_since(start);
  return opened;
}

Result<std::unique_ptr<engine::Engine>> load_engine(engine::OpenedModel model,
                                                    const engine::EngineOptions& options,
                                                    double& seconds) {
  const auto start = std::chrono::steady_clock::now();
  const std::string name = model_name(model.path);
  std::optional<ByteProgress> progress;
  const auto show = [&](int64_t done, int64_t total) {
    if (!progress) progress.emplace("loading " + name, total, 0);
    progress->update(done);
  };
  auto engine = engine::Engine::load(std::move(model), options, show);
  progress.reset();
  seconds += seconds_since(start);
  return engine;
}

std::string model_name(const std::string& path) {
  std::filesystem::path normal = std::filesystem::path(path).lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();
  if (normal == "." || normal == "..") normal = std::filesystem::absolute(path).lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();
  return normal.filename().string();
}

}  // namespace sluice::cli
