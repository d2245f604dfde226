#include "cli/engine_flags.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/units.h"
#include "cli/quiet_check.h"
#include "cli/terminal.h"

namespace sluice::cli {

void add_engine_flags(CLI::App& command, EngineFlags& flags) {
  constexpr const char* kGroup = "Engine";
  constexpr const char* kNumber = "N";
  engine::EngineOptions& o = flags.options;
  const auto add = [&](const char* name, auto& value, const char* what) {
    return command.add_option(name, value, what)->group(kGroup)->type_name(kNumber);
  };
  const auto size = quiet(CLI::Range(int64_t{1}, int64_t{1} << 40));
  add("--max-batch-size", o.max_batch_size,
      "sequences in flight (default: 64, less if their KV has no room)")
      ->check(size);
  add("--micro-batch-size", o.micro_batch_size,
      "sequences of one micro-batch (default: all of the batch)")
      ->check(size);
  add("--max-num-tokens", o.max_num_tokens,
      "tokens of one iteration; longer prompts go in chunks (default: 512)")
      ->check(size);
  add("--max-seq-len", o.max_seq_len,
      "prompt and answer of one sequence (default: what the model and the KV cache allow)")
      ->check(size);
  add("--kv-cache-memory", flags.kv_cache_memory,
      "of the KV cache, such as 4G (default: by --kv-cache-free-mem-fraction)")
      ->type_name("BYTES");
  add("--kv-cache-free-mem-fraction", o.kv_cache_free_mem_fraction,
      "share of the free memory that the KV cache may take")
      ->check(quiet(CLI::Range(0.0, 1.0)))
      ->capture_default_str();
  add("--kv-block-tokens", o.kv_block_tokens, "tokens of one KV block, a multiple of 16")
      ->check(quiet(CLI::Range(16, 1024)))
      ->capture_default_str();
  add("--kv-dtype", o.kv_dtype,
      "what the KV cache keeps a value in: f32 (4 bytes), to compare with f32 programs; f16 (2), "
      "which ends at 65504; bf16 (2); q8 (1, and 4 for each key and value of a head), when the "
      "cache limits the batch or the context; auto, as the weights are stored: f32, bf16, else f16")
      ->type_name("NAME")
      ->capture_default_str();
  add("--kv-reserve-fraction", o.kv_reserve_fraction,
      "share of max_tokens whose KV is set aside before a request starts; below 1 more run side by "
      "side, and the youngest is set back when blocks run out")
      ->check(quiet(CLI::Range(0.0, 1.0)))
      ->capture_default_str();
  command
      .add_flag("--no-prefix-sharing", flags.no_prefix_sharing,
                "compute every prompt whole, even what others begin with")
      ->group(kGroup);
  add("--quant", o.quant,
      "quantize matrices while loading: none, bf16, q8, q4, mxfp4; routers and norms stay exact")
      ->type_name("NAME")
      ->capture_default_str();
  add("--schedule", o.schedule, "how iterations become tasks: resident, serial")
      ->type_name("NAME")
      ->capture_default_str();
  add("--threads", o.threads, "of the compute lane (default: the cores this process may use)")
      ->check(quiet(CLI::Range(1, 1024)));
  add("--trace", flags.trace_path, "write every task to this file, for ui.perfetto.dev")
      ->type_name("FILE");
}

Result<engine::EngineOptions> engine_options(const EngineFlags& flags) {
  engine::EngineOptions options = flags.options;
  options.prefix_sharing = !flags.no_prefix_sharing;
  if (!flags.kv_cache_memory.empty()) {
    auto bytes = base::parse_bytes(flags.kv_cache_memory);
    if (!bytes) return bytes.error().in("--kv-cache-memory");
    if (*bytes == 0) return Error{ErrorCode::kInvalid, "--kv-cache-memory must be more than 0"};
    options.kv_cache_memory = *bytes;
  }
  // Found out now, not when the run is over.
  if (!flags.trace_path.empty() && !std::ofstream(flags.trace_path, std::ios::app))
    return Error{ErrorCode::kIo, "cannot write the trace to '" + flags.trace_path + "'"};
  return options;
}

Result<std::unique_ptr<engine::Engine>> load_engine(const std::string& model,
                                                    const engine::EngineOptions& options,
                                                    double& seconds) {
  const auto start = std::chrono::steady_clock::now();
  const bool live = is_terminal(2);
  auto shown = start;
  const std::string name = model_name(model);
  auto engine = engine::Engine::load(model, options, [&](double share) {
    const auto now = std::chrono::steady_clock::now();
    if (!live || now - shown < std::chrono::milliseconds(100)) return;
    shown = now;
    std::fprintf(stderr, "\r\x1b[2Kloading %s: %.0f %%", name.c_str(), 100 * share);
    std::fflush(stderr);
  });
  if (live && shown != start) std::fprintf(stderr, "\r\x1b[2K");
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
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
