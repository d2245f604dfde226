#include "cli/plan_workload.h"

#include <fcntl.h>

#include <cmath>
#include <map>
#include <optional>

#include "base/json.h"
#include "batch/line_reader.h"
#include "cli/quiet_check.h"
#include "engine/model_files.h"

namespace sluice::cli {
namespace {

constexpr int64_t kDefaultRequests = 10'000;
constexpr const char* kDefaultPrompt = "512";
constexpr const char* kDefaultAnswer = "128";
// Without a tokenizer text counts as about so many bytes of English to a token.
constexpr int64_t kBytesPerToken = 4;
// What a chat template adds to a message, about.
constexpr int64_t kTemplateTokens = 8;

// The tokenizer of a model that is here, if it has one.
std::optional<text::Tokenizer> tokenizer_of(const std::string& model) {
  const auto opened = engine::open_model(model);
  if (!opened.ok()) return std::nullopt;
  auto files = engine::read_model_files(model, *opened);
  if (!files.ok()) return std::nullopt;
  return std::move(files->tokenizer);
}

class Counter {
 public:
  explicit Counter(const std::string& model) : tokenizer_(tokenizer_of(model)) {}

  planner::Lengths lengths(const Json& line, int64_t default_max_tokens) const {
    const Json& body = line.contains("body") && line["body"].is_object() ? line["body"] : line;
    int64_t prompt = 0;
    for (const char* key : {"messages", "prompt"})
      if (body.contains(key)) prompt += tokens(body[key]);
    planner::Lengths lengths{std::max<int64_t>(prompt, 1), default_max_tokens, 1};
    for (const char* key : {"max_tokens", "max_completion_tokens"}) {
      if (body.contains(key) && body[key].is_number_integer())
        lengths.generated = std::max<int64_t>(body[key].get<int64_t>(), 1);
    }
    return lengths;
  }

 private:
  // Of a text, of messages and their parts, of token ids.
  int64_t tokens(const Json& json) const {
    if (json.is_number()) return 1;
    if (json.is_string()) return tokens(json.get_ref<const std::string&>());
    if (json.is_object()) {
      if (json.contains("content")) return kTemplateTokens + tokens(json["content"]);
      return json.contains("text") ? tokens(json["text"]) : 0;
    }
    int64_t sum = 0;
    if (json.is_array())
      for (const Json& part : json) sum += tokens(part);
    return sum;
  }
  int64_t tokens(const std::string& text) const {
    const auto ids = tokenizer_ ? tokenizer_->encode(text, true)
                                : Result<std::vector<int32_t>>(Error{ErrorCode::kInvalid, ""});
    // What it does not take is an error of batch's.
    return ids.ok() ? std::ssize(*ids) : std::ssize(text) / kBytesPerToken;
  }

  std::optional<text::Tokenizer> tokenizer_;
};

// Lengths of one bucket (of the same power, or part of a power, of two) as their mean.
planner::Workload gathered(const std::string& name, const std::vector<planner::Lengths>& all) {
  struct Sum {
    int64_t prompt = 0, generated = 0, requests = 0;
  };
  std::map<std::pair<int, int>, Sum> sums;
  const auto bucket = [](int64_t tokens) {
    return static_cast<int>(std::log2(static_cast<double>(tokens)) * 2);
  };
  for (const planner::Lengths& lengths : all) {
    Sum& sum = sums[{bucket(lengths.prompt), bucket(lengths.generated)}];
    sum.prompt += lengths.prompt;
    sum.generated += lengths.generated;
    ++sum.requests;
  }
  planner::Workload workload{name, {}};
  for (const auto& [key, sum] : sums) {
    workload.requests.push_back(
        {sum.prompt / sum.requests, sum.generated / sum.requests, sum.requests});
  }
  return workload;
}

Result<planner::Workload> of_file(const PlanFlags& flags) {
  SLUICE_ASSIGN(const batch::File file, batch::File::open(flags.input, O_RDONLY));
  const Counter counter(flags.model);
  batch::LineReader reader(file);
  std::vector<planner::Lengths> all;
  while (true) {
    SLUICE_ASSIGN(const std::optional<batch::Line> line, reader.next());
    if (!line) break;
    const auto json = base::parse_json(line->text);
    // A line that batch will answer with an error costs nothing.
    if (!json.ok() || !json->is_object()) continue;
    all.push_back(counter.lengths(*json, flags.default_max_tokens));
  }
  if (all.empty()) {
    return Error{ErrorCode::kInvalid,
                 "'" + flags.input + "' has no line that is a JSON object; give a batch file"};
  }
  return gathered(flags.input, all);
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

Result<planner::Workload> workload_from(const PlanFlags& flags) {
  const bool lengths = !flags.prompt_tokens.empty() || !flags.generate_tokens.empty();
  const int64_t requests = flags.requests > 0 ? flags.requests : kDefaultRequests;
  if (!flags.input.empty()) {
    if (lengths || !flags.workload.empty() || flags.requests > 0) {
      return Error{ErrorCode::kInvalid,
                   "-i says what there is to answer; leave out --workload, --requests and the "
                   "lengths"};
    }
    return of_file(flags);
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
