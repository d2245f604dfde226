// sluice run MODEL [PROMPT]
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <memory>

#include "batch/bars.h"
#include "batch/engine_text.h"
#include "cli/answerer.h"
#include "cli/auto_plan.h"
#include "cli/command.h"
#include "cli/engine_flags.h"
#include "cli/exit_codes.h"
#include "cli/generation_config.h"
#include "cli/line_editor.h"
#include "cli/quiet_check.h"
#include "cli/sampling_flags.h"
#include "cli/terminal.h"
#include "pipeline/trace.h"

namespace sluice::cli {
namespace {

constexpr size_t kMaxPromptBytes = size_t{16} << 20;

struct RunFlags {
  std::string model, prompt, system;
  bool prompt_given = false, raw = false, json = false, quiet = false;
  int64_t max_tokens = 0;
  EngineFlags engine;
  engine::SamplingParams sampling;
  const CLI::App* command = nullptr;
};

// The flags that were given, over what the model's authors suggest.
Result<engine::SamplingParams> sampling_of(const RunFlags& flags) {
  SLUICE_ASSIGN(engine::SamplingParams sampling, model_sampling(flags.model));
  const engine::SamplingParams& s = flags.sampling;
  const auto given = [&](const char* flag) { return flags.command->count(flag) > 0; };
  if (given("--temperature")) sampling.temperature = s.temperature;
  if (given("--top-p")) sampling.top_p = s.top_p;
  if (given("--top-k")) sampling.top_k = s.top_k;
  if (given("--min-p")) sampling.min_p = s.min_p;
  if (given("--repetition-penalty")) sampling.repetition_penalty = s.repetition_penalty;
  sampling.frequency_penalty = s.frequency_penalty;
  sampling.presence_penalty = s.presence_penalty;
  sampling.max_tokens = flags.max_tokens;
  return sampling;
}

Result<std::string> standard_input() {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{ErrorCode::kIo, "cannot read the prompt from standard input"};
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kMaxPromptBytes)
      return Error{ErrorCode::kInvalid, "the prompt has more than " +
                                            std::to_string(kMaxPromptBytes) +
                                            " bytes, which is the limit"};
  }
  return text;
}

void print_piece(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

// A conversation: what was said so far, and the next answer to it.
class Conversation {
 public:
  Conversation(engine::Engine& engine, engine::SamplingParams sampling, std::string system,
               bool raw)
      : engine_(engine),
        answerer_(engine),
        sampling_(std::move(sampling)),
        system_(std::move(system)),
        raw_(raw) {
    reset();
  }

  void reset() {
    messages_ = Json::array();
    if (!system_.empty()) messages_.push_back({{"role", "system"}, {"content", system_}});
  }

  Result<Answer> say(const std::string& text, bool stream, const std::atomic<int>& interrupts) {
    const batch::EngineText model_text(engine_.tokenizer(), engine_.chat_template(),
                                       static_cast<int64_t>(std::time(nullptr)));
    std::vector<int32_t> prompt;
    const Json before = messages_;
    if (raw_) {
      SLUICE_ASSIGN(prompt, model_text.encode(text, true));
    } else {
      batch::BatchLine line;
      messages_.push_back({{"role", "user"}, {"content", text}});
      line.messages = messages_;
      line.add_special_tokens = false;
      auto rendered = model_text.render(line);
      if (!rendered) {
        messages_ = before;
        return rendered.error();
      }
      prompt = std::move(*rendered);
    }
    const auto on_text = [stream](const std::string& piece) {
      if (stream) print_piece(piece);
    };
    auto answer = answerer_.answer(std::move(prompt), sampling_, on_text, interrupts);
    if (!answer) {
      messages_ = before;
    } else if (!raw_) {
      messages_.push_back({{"role", "assistant"}, {"content", answer->text}});
    }
    return answer;
  }

 private:
  engine::Engine& engine_;
  Answerer answerer_;
  engine::SamplingParams sampling_;
  std::string system_;
  bool raw_;
  Json messages_;
};

void print_pace(const Answer& answer) {
  const double generating = answer.seconds - answer.first_token_seconds;
  std::fprintf(
      stderr, "\x1b[2m%lld tokens, %s tok/s, first after %.0f ms\x1b[0m\n",
      static_cast<long long>(answer.completion_tokens),
      generating > 0 && answer.completion_tokens > 1
          ? batch::rate(static_cast<double>(answer.completion_tokens - 1) / generating).c_str()
          : "-",
      1000 * answer.first_token_seconds);
}

int answer_once(const RunFlags& flags, Conversation& conversation, const std::string& prompt) {
  const std::atomic<int>& interrupts = count_interrupts(true);
  const auto answer = conversation.say(prompt, !flags.json, interrupts);
  restore_interrupts();
  if (!answer) return fail(answer.error());
  if (flags.json) {
    const Json json = {{"model", model_name(flags.model)},
                       {"text", answer->text},
                       {"finish_reason", engine::name(answer->finish)},
                       {"prompt_tokens", answer->prompt_tokens},
                       {"completion_tokens", answer->completion_tokens},
                       {"first_token_seconds", answer->first_token_seconds},
                       {"seconds", answer->seconds}};
    std::printf("%s\n", base::to_line(json).c_str());
  } else {
    print_piece("\n");
    if (is_terminal(2) && is_terminal(1)) print_pace(*answer);
  }
  return answer->finish == engine::FinishReason::kCancelled ? kInterrupted : kOk;
}

int chat(const RunFlags& flags, Conversation& conversation) {
  constexpr const char* kHelp =
      "/reset forgets the conversation, /exit (or Ctrl-D) leaves, Ctrl-C stops an answer\n";
  std::printf("%s; %s", model_name(flags.model).c_str(), kHelp);
  std::string line;
  for (;;) {
    std::atomic<int>& interrupts = count_interrupts(false);
    const Typed typed = read_typed_line("\n> ", line);
    if (typed == Typed::kEnd || (typed == Typed::kLine && line == "/exit")) break;
    if (typed == Typed::kInterrupted) {
      std::printf("\n%s", kHelp);
      continue;
    }
    if (line == "/reset") {
      conversation.reset();
      std::printf("forgotten\n");
    } else if (line == "/help") {
      std::printf("%s", kHelp);
    } else if (line.starts_with('/')) {
      std::printf("there is no %s; %s", line.c_str(), kHelp);
    } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
      interrupts = 0;
      const auto answer = conversation.say(line, true, interrupts);
      if (!answer) {
        std::fprintf(stderr, "sluice: %s\n", answer.error().message.c_str());
        if (answer.error().code == ErrorCode::kFault) return kFailed;
        continue;
      }
      if (answer->finish == engine::FinishReason::kCancelled) print_piece(" ...");
      print_piece("\n");
      print_pace(*answer);
    }
  }
  std::printf("\n");
  return kOk;
}

// What runs is for one sequence at a time; `bytes` of its prompt, 0 if there will be several.
// Returns choose_policy()'s sentence.
std::string choose(const RunFlags& flags, const engine::OpenedModel& model, int64_t bytes,
                   engine::EngineOptions& options) {
  constexpr int64_t kTypedBytesPerToken = 4, kTypedTokens = 128, kAnswerTokens = 256;
  const int64_t prompt = bytes > 0 ? bytes / kTypedBytesPerToken + 1 : kTypedTokens;
  const int64_t answer = flags.max_tokens > 0 ? flags.max_tokens : kAnswerTokens;
  return choose_policy({.model = &model,
                        .command = flags.command,
                        .workload = {"one answer", {{prompt, answer, 1}}},
                        .latency = true},
                       options);
}

int run_command(const RunFlags& flags) {
  const bool chats = !flags.prompt_given && is_terminal(0);
  if (chats && flags.json)
    return fail({ErrorCode::kInvalid, "--json is for one answer; give a PROMPT"});
  if (flags.raw && !flags.system.empty())
    return fail({ErrorCode::kInvalid, "--system needs the chat template, which --raw leaves out"});
  auto options = engine_options(flags.engine);
  if (!options) return fail(options.error());
  auto sampling = sampling_of(flags);
  if (!sampling) return fail(sampling.error());
  std::string prompt = flags.prompt;
  if (!flags.prompt_given && !chats) {
    auto read = standard_input();
    if (!read) return fail(read.error());
    prompt = std::move(*read);
  }
  options->seed = sampling->seed.value_or(0);
  if (options->max_batch_size == 0) options->max_batch_size = 1;
  double load_seconds = 0;
  auto model = open_to_load(flags.model, *options, load_seconds);
  if (!model) return fail(model.error());
  const std::string chosen = choose(flags, *model, chats ? 0 : std::ssize(prompt), *options);
  std::optional<pipeline::Trace> trace;
  if (!flags.engine.trace_path.empty()) options->trace = &trace.emplace();
  auto engine = load_engine(std::move(*model), *options, load_seconds);
  if (!engine) return fail(engine.error());
  if (!chosen.empty() && !flags.quiet) std::fprintf(stderr, "sluice: %s\n", chosen.c_str());
  if (!flags.raw && (*engine)->chat_template() == nullptr) {
    return fail({ErrorCode::kUnsupported,
                 "'" + flags.model + "' has no chat template; --raw continues a text instead"});
  }
  Conversation conversation(**engine, std::move(*sampling), flags.system, flags.raw);
  const int code = chats ? chat(flags, conversation) : answer_once(flags, conversation, prompt);
  if (trace) {
    if (const Status written = trace->write(flags.engine.trace_path); !written)
      return fail(written.error());
  }
  return code;
}

}  // namespace

void add_run(CLI::App& program, Action& action) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = program.add_subcommand("run", "Streams one answer, or chats in the terminal");
  flags->command = command;
  command
      ->add_option("MODEL", flags->model,
                   "a Hugging Face directory, a GGUF file, or a built directory")
      ->required()
      ->type_name("DIR");
  command->add_option_function<std::string>(
      "PROMPT",
      [flags](const std::string& text) {
        flags->prompt = text;
        flags->prompt_given = true;
      },
      "what to answer; without it a chat, or standard input when that is no terminal");
  command->add_option("--system", flags->system, "what the conversation begins with");
  command->add_flag("--raw", flags->raw, "go on from the text as it is, without the chat template");
  command->add_option("--max-tokens", flags->max_tokens, "of an answer; 0: what the context holds")
      ->check(quiet(CLI::Range(int64_t{0}, batch::kMaxTokensAsked)))
      ->capture_default_str();
  command->add_option("--seed", flags->sampling.seed, "of the tokens drawn (default: 0)");
  command->add_flag("--json", flags->json, "the answer as one JSON object, when it is whole");
  command->add_flag("-q,--quiet", flags->quiet, "do not say on standard error what was planned");
  add_engine_flags(*command, flags->engine);
  add_sampling_flags(*command, flags->sampling, false);
  command->footer(
      "Sampling that no flag sets is as the model's generation_config.json has it.\n"
      "Examples:\n"
      "  sluice run examples/demo_model '786 * 3 ='\n"
      "  sluice run MODEL < question.txt\n"
      "  sluice run MODEL --system 'Answer in French.'");
  command->callback([flags, &action] { action = [flags] { return run_command(*flags); }; });
}

}  // namespace sluice::cli
