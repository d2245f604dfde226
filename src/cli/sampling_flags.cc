#include "cli/sampling_flags.h"

#include "cli/quiet_check.h"

namespace sluice::cli {

void add_sampling_flags(CLI::App& command, engine::SamplingParams& s, bool show_defaults) {
  constexpr const char* kGroup = "Sampling";
  const auto add = [&](const char* name, auto& value, const char* what) {
    CLI::Option* option = command.add_option(name, value, what)->group(kGroup)->type_name("X");
    return show_defaults ? option->capture_default_str() : option;
  };
  add("--temperature", s.temperature, "0 takes the likeliest token")
      ->check(quiet(CLI::Range(0.0, 2.0)));
  add("--top-p", s.top_p, "of the likeliest tokens that together have this probability")
      ->check(quiet(CLI::Range(1e-9, 1.0)));
  add("--top-k", s.top_k, "of this many likeliest tokens; 0: of all")
      ->check(quiet(CLI::Range(int64_t{-1}, int64_t{INT32_MAX})));
  add("--min-p", s.min_p, "of tokens at least this share as likely as the likeliest")
      ->check(quiet(CLI::Range(0.0, 1.0)));
  add("--repetition-penalty", s.repetition_penalty, "over prompt and answer; 1: none")
      ->check(quiet(CLI::Range(1e-3, 100.0)));
  add("--frequency-penalty", s.frequency_penalty, "over the answer")
      ->check(quiet(CLI::Range(-2.0, 2.0)));
  add("--presence-penalty", s.presence_penalty, "over the answer")
      ->check(quiet(CLI::Range(-2.0, 2.0)));
}

Json sampling_json(const engine::SamplingParams& s) {
  return {{"temperature", s.temperature},
          {"top_p", s.top_p},
          {"top_k", s.top_k},
          {"min_p", s.min_p},
          {"repetition_penalty", s.repetition_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"presence_penalty", s.presence_penalty}};
}

}  // namespace sluice::cli
