// sluice simulate --seeds N
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/quiet_check.h"
#include "cli/terminal.h"
#include "sim/campaign.h"

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;

struct SimulateFlags {
  int64_t seeds = 1000;
  uint64_t first = 0;
  std::optional<uint64_t> seed;
  std::string events, directory;
  int threads = 1;
};

// What a check that aborts must still say.
thread_local char seed_text[96] = "";

extern "C" void tell_seed(int) {
  const ssize_t told = ::write(2, seed_text, std::strlen(seed_text));
  (void)told;
  std::signal(SIGABRT, SIG_DFL);
  std::raise(SIGABRT);
}

void note_seed(uint64_t seed) {
  std::snprintf(seed_text, sizeof seed_text, "aborted in seed %llu: sluice simulate --seed %llu\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(seed));
}

// A directory for this process alone, in memory if there is such a place: runs sync often.
class Scratch {
 public:
  explicit Scratch(const std::string& wanted) : path_(wanted), keep_(!wanted.empty()) {
    if (keep_) return;
    const fs::path memory = "/dev/shm";
    const bool there = ::access(memory.c_str(), W_OK) == 0;
    path_ = ((there ? memory : fs::temp_directory_path()) /
             ("sluice-simulate-" + std::to_string(::getpid())))
                .string();
  }
  ~Scratch() {
    std::error_code ignored;
    if (!keep_) fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool keep_;
};

void print_failure(const sim::SeedResult& failure) {
  std::printf("seed %llu: %s\n  sluice simulate --seed %llu --events -\n",
              static_cast<unsigned long long>(failure.seed), failure.violation.c_str(),
              static_cast<unsigned long long>(failure.seed));
}

int simulate_one(const SimulateFlags& flags, const std::string& directory) {
  std::FILE* events = nullptr;
  if (flags.events == "-") {
    events = stdout;
  } else if (!flags.events.empty()) {
    events = std::fopen(flags.events.c_str(), "w");
    if (events == nullptr)
      return fail({ErrorCode::kIo, "cannot write events to '" + flags.events + "'"});
  }
  auto stage = sim::make_stage(directory);
  if (!stage) return fail(stage.error());
  note_seed(*flags.seed);
  const sim::SeedResult result = sim::run_seed(*stage, *flags.seed, directory + "/one", events);
  if (events != nullptr && events != stdout && std::fclose(events) != 0)
    return fail({ErrorCode::kIo, "cannot write events to '" + flags.events + "'"});
  std::printf("seed %llu: %lld events, hash %016llx, %s\n",
              static_cast<unsigned long long>(result.seed),
              static_cast<long long>(result.counts[sim::Happening::kEvent]),
              static_cast<unsigned long long>(result.hash),
              result.violation.empty() ? "everything held" : result.violation.c_str());
  return result.violation.empty() ? kOk : kFailed;
}

int simulate_many(const SimulateFlags& flags, const std::string& directory) {
  const bool live = is_terminal(2);
  sim::CampaignOptions options{.first = flags.first,
                               .seeds = flags.seeds,
                               .threads = flags.threads,
                               .directory = directory,
                               .stop_requested = &count_interrupts(true),
                               .on_begin = note_seed};
  options.on_done = [&](int64_t done, int64_t failed) {
    if (!live || (done % 20 != 0 && done != flags.seeds)) return;
    std::fprintf(stderr, "\r\x1b[2K%lld of %lld seeds, %lld failed", static_cast<long long>(done),
                 static_cast<long long>(flags.seeds), static_cast<long long>(failed));
    if (done == flags.seeds) std::fprintf(stderr, "\r\x1b[2K");
  };
  const auto result = sim::run_campaign(options);
  restore_interrupts();
  if (!result) return fail(result.error());
  std::fputs(sim::summary(*result).c_str(), stdout);
  for (const sim::SeedResult& failure : result->failures) print_failure(failure);
  if (!result->failures.empty()) return kFailed;
  if (result->done < flags.seeds) {
    std::fprintf(stderr, "stopped; --first %llu goes on\n",
                 static_cast<unsigned long long>(flags.first) +
                     static_cast<unsigned long long>(result->done));
    return kInterrupted;
  }
  // Few seeds need not meet everything.
  constexpr int64_t kEnough = 500;
  const auto missing = sim::unexercised(*result);
  if (result->done < kEnough || missing.empty()) return kOk;
  std::string sentence = "these seeds prove little: they never met";
  for (const std::string& what : missing) sentence += (&what == &missing[0] ? " " : ", ") + what;
  return fail({ErrorCode::kFault, sentence});
}

int simulate_command(const SimulateFlags& flags) {
  if (!flags.events.empty() && !flags.seed)
    return fail({ErrorCode::kInvalid, "--events needs --seed: the events of one seed"});
  std::signal(SIGABRT, tell_seed);
  const Scratch scratch(flags.directory);
  return flags.seed ? simulate_one(flags, scratch.path()) : simulate_many(flags, scratch.path());
}

}  // namespace

void add_simulate(CLI::App& program, Action& action) {
  auto flags = std::make_shared<SimulateFlags>();
  CLI::App* command = program.add_subcommand(
      "simulate", "Runs whole batches by seed, in virtual time, through faults, kills and resumes");
  command->add_option("--seeds", flags->seeds, "how many seeds to run, one after the other")
      ->check(quiet(CLI::Range(int64_t{1}, int64_t{1} << 40)))
      ->capture_default_str();
  command->add_option("--first", flags->first, "the first of them")->capture_default_str();
  command->add_option("--seed", flags->seed, "run this one alone, and print its hash")
      ->type_name("SEED");
  command->add_option("--events", flags->events, "of --seed: every event to this file; - prints it")
      ->type_name("FILE");
  command->add_option("--threads", flags->threads, "seeds side by side; each is of one thread")
      ->check(quiet(CLI::Range(1, 1024)))
      ->capture_default_str();
  command
      ->add_option("--directory", flags->directory,
                   "where models and batches are written (default: in memory, removed at the end)")
      ->type_name("DIR");
  command->footer(
      "Examples:\n"
      "  sluice simulate --seeds 2000 --threads 2\n"
      "  sluice simulate --seed 1234 --events events.txt\n"
      "A seed draws a tiny model, lines, flags and troubles, and the real program answers the "
      "batch\n"
      "on one thread: only clock, lanes' threads and the disk are virtual. After every event it "
      "is\n"
      "checked that what must hold does (docs/simulation.md); at the end every line must have its\n"
      "answer once, bit for bit what the request gets when it runs alone. A seed that fails is\n"
      "printed, and fails again in the same way whenever it is run. Ctrl-C ends with what was "
      "found.");
  command->callback([flags, &action] { action = [flags] { return simulate_command(*flags); }; });
}

}  // namespace sluice::cli
