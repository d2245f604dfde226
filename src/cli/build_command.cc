// sluice build MODEL OUT
#include <cstdio>
#include <memory>
#include <optional>

#include "base/json.h"
#include "base/units.h"
#include "cli/byte_progress.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/quiet_check.h"
#include "cli/terminal.h"
#include "engine/build_engine.h"

namespace sluice::cli {
namespace {

using base::format_bytes;
using base::format_count;

struct BuildFlags {
  std::string model, out, quant = "none";
  int threads = 0;
  bool json = false;
};

Json to_json(const engine::BuildResult& result, const BuildFlags& flags) {
  return {{"path", flags.out},
          {"finished", !result.stopped},
          {"quantization", flags.quant},
          {"fingerprint", result.fingerprint},
          {"tensors", result.tensors},
          {"pages", result.pages},
          {"files", result.files},
          {"bytes", result.directory_bytes},
          {"bytes_found", result.state.found},
          {"bytes_written", result.state.done - result.state.found},
          {"buffer_bytes", result.buffer_bytes},
          {"seconds", result.state.seconds}};
}

void print(const engine::BuildResult& result, const BuildFlags& flags) {
  const auto written = static_cast<double>(result.state.done - result.state.found);
  const double seconds = result.state.seconds;
  std::printf("%s: %s in %s tensors and %s expert pages, %lld %s\n", flags.out.c_str(),
              format_bytes(static_cast<double>(result.directory_bytes)).c_str(),
              format_count(result.tensors).c_str(), format_count(result.pages).c_str(),
              static_cast<long long>(result.files), result.files == 1 ? "file" : "files");
  if (seconds > 0) {
    std::printf("  written in %s, %s/s", base::format_seconds(seconds).c_str(),
                format_bytes(written / seconds).c_str());
  } else {
    std::printf("  nothing was left to write");
  }
  if (result.state.found > 0)
    std::printf("; %s were there already",
                format_bytes(static_cast<double>(result.state.found)).c_str());
  std::printf("\n");
}

int build_command(const BuildFlags& flags) {
  std::atomic<int>& interrupts = count_interrupts(true);
  std::optional<ByteProgress> progress;
  engine::BuildOptions options;
  options.quant = flags.quant;
  options.threads = flags.threads;
  options.program = "sluice " SLUICE_VERSION;
  options.stop_requested = &interrupts;
  options.on_progress = [&](const engine::BuildState& state) {
    if (!progress) progress.emplace("building", state.bytes, state.found);
    progress->update(state.done);
  };
  const auto result = engine::build_engine(flags.model, flags.out, options);
  progress.reset();
  restore_interrupts();
  if (!result) {
    fail(result.error());
    return result.error().code == ErrorCode::kNoRoom ? kDiskFull : kFailed;
  }
  if (flags.json) {
    std::printf("%s\n", base::to_line(to_json(*result, flags)).c_str());
  } else if (!result->stopped) {
    print(*result, flags);
  }
  if (!result->stopped) return kOk;
  std::fprintf(stderr, "stopped; the same command goes on\n");
  return kInterrupted;
}

}  // namespace

void add_build(CLI::App& program, Action& action) {
  auto flags = std::make_shared<BuildFlags>();
  CLI::App* command = program.add_subcommand(
      "build", "Packs a model's weights into a directory that loads at once and streams");
  command->add_option("MODEL", flags->model, "a Hugging Face directory or a GGUF file")
      ->required()
      ->type_name("DIR");
  command->add_option("OUT", flags->out, "the directory to make; OUT.partial until it is whole")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--quant", flags->quant,
                   "quantize matrices: none, bf16, q8, q4, mxfp4; routers and norms stay exact")
      ->type_name("NAME")
      ->check(one_of({"none", "bf16", "q8", "q4", "mxfp4"}))
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "(default: the cores this process may use)")
      ->check(quiet(CLI::Range(1, 1024)))
      ->type_name("N");
  command->add_flag("--json", flags->json, "what was built as one JSON object");
  command->footer(
      "Examples:\n"
      "  sluice build MODEL model-q4 --quant q4\n"
      "  sluice batch model-q4 -i prompts.jsonl -o answers.jsonl\n"
      "Answers are those of MODEL with the same --quant. One tensor or expert is in memory at a\n"
      "time. Killed or interrupted, the same command goes on; a finished directory is never\n"
      "written again.");
  command->callback([flags, &action] { action = [flags] { return build_command(*flags); }; });
}

}  // namespace sluice::cli
