#include "cli/plan_workload.h"

#include <fcntl.h>

#include "cli/batch_lengths.h"
#include "cli/quiet_check.h"

namespace sluice::cli {
namespace {

constexpr int64_t kDefaultRequests = 10'000;
constexpr const char* kDefaultPrompt = "512";
constexpr const char* kDefaultAnswer = "128";

Result<planner::Workload> of_file(const PlanFlags& flags,
                                  const std::optional<engine::OpenModel>& here) {
  SLUICE_ASSIGN(const batch::File file, batch::File::open(flags.input, O_RDONLY));
  engine::ModelFiles files;
  if (here) {
    // Lengths are known without a tokenizer too, if not as well.
    if (auto read = engine::read_model_files(flags.model, *here); read.ok())
      files = std::move(*read);
  }
  SLUICE_ASSIGN(BatchLengths lengths,
                batch_lengths(file, flags.input, 0, files.tokenizer ? &*files.tokenizer : nullptr,
                              flags.default_max_tokens));
  return std::move(lengths.workload);
}

}  // namespace

void add_workload_flags(CLI::App& command, PlanFlags& flags) {
  const auto add = [&](const char* name, auto& value, const char* what) {
    return command.add_option(name, value, what)->group("Workload");
  };
  add("--workload", flags.workload, "mtbench, helm-synthetic or summarization, of the paper");
  add("-i,--input", flags.input,
      "a batch file: its lengths, by the model's tokenizer if it is here, else 4 bytes a token");
  add("--prompt-tokens", flags.prompt_tokens,
      "of a prompt: 512, a range 64:1024, or shares 128x3,1024x1 (default: 512)");
  add("--generate-tokens", flags.generate_tokens, "of an answer, written the same (default: 128)");
  add("--requests", flags.requests, "so many of them (default: 10000)")
      ->check(quiet(CLI::Range(int64_t{1}, planner::kMaxRequests)));
  add("--default-max-tokens", flags.default_max_tokens, "of a line of the file that names none")
      ->check(quiet(CLI::Range(int64_t{1}, planner::kMaxTokens)))
      ->capture_default_str();
}

Result<planner::Workload> workload_from(const PlanFlags& flags,
                                        const std::optional<engine::OpenModel>& here) {
  const bool lengths = !flags.prompt_tokens.empty() || !flags.generate_tokens.empty();
  const int64_t requests = flags.requests > 0 ? flags.requests : kDefaultRequests;
  if (!flags.input.empty()) {
    if (lengths || !flags.workload.empty() || flags.requests > 0) {
      return Error{ErrorCode::kInvalid,
                   "-i says what there is to answer; leave out --workload, --requests and the "
                   "lengths"};
    }
    return of_file(flags, here);
  }
  if (flags.workload.empty()) {
    return planner::workload_of(
        flags.prompt_tokens.empty() ? kDefaultPrompt : flags.prompt_tokens,
        flags.generate_tokens.empty() ? kDefaultAnswer : flags.generate_tokens, requests);
  }
  int64_t generated = 0;
  if (!flags.prompt_tokens.empty()) {
    return Error{ErrorCode::kInvalid,
                 "--workload says how long prompts are; leave out --prompt-tokens"};
  }
  if (!flags.generate_tokens.empty()) {
    SLUICE_ASSIGN(const auto shares,
                  planner::parse_lengths(flags.generate_tokens, "--generate-tokens"));
    generated = shares.front().tokens;
  }
  return planner::known_workload(flags.workload, generated, requests);
}

}  // namespace sluice::cli
