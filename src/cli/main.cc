// The program: its commands, its flags, its exit codes.
#include <csignal>
#include <cstdio>

#include "cli/command.h"
#include "cli/exit_codes.h"

namespace sluice::cli {

int fail(const Error& error) {
  std::fprintf(stderr, "sluice: %s\n", error.message.c_str());
  return kFailed;
}

namespace {

// What is wrong with the command line, and where its flags are explained.
std::string sentence(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  const std::vector<CLI::App*> given = program.get_subcommands();
  if (!given.empty())
    return std::string(error.what()) + "; see 'sluice " + given.front()->get_name() + " --help'";
  if (argc < 2 || argv[1][0] == '-') return std::string(error.what()) + "; see 'sluice --help'";
  std::string all;
  for (const CLI::App* command : program.get_subcommands(nullptr))
    all += (all.empty() ? "" : ", ") + command->get_name();
  return "there is no command '" + std::string(argv[1]) + "'; there are " + all +
         "; see 'sluice --help'";
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  using namespace sluice::cli;
  // A closed pipe or a limit on file sizes is an error of the write that meets it.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App program{
      "sluice runs mixture-of-experts language models, in batches, on machines that are too small "
      "for them.",
      "sluice"};
  program.set_version_flag("--version", "sluice " SLUICE_VERSION);
  program.require_subcommand(1);
  program.footer(
      "MODEL is a Hugging Face directory (config.json, safetensors, tokenizer.json), a GGUF file\n"
      "(of a split one the first part), or a directory that 'sluice build' made.\n"
      "'sluice COMMAND --help' has every flag of a command, and examples.\n"
      "Exit status: 0 done; 1 an error; 2 a wrong command line; 3 a batch with error lines;\n"
      "4 interrupted, 5 no room for the output: the same command goes on.");
  Action action;
  add_batch(program, action);
  add_run(program, action);
  add_build(program, action);
  add_inspect(program, action);
  add_plan(program, action);
  add_probe(program, action);
  add_simulate(program, action);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    std::fprintf(stderr, "sluice: %s\n", sentence(program, error, argc, argv).c_str());
    return kUsage;
  }
  const int code = action();
  // What was printed last may still wait: a full disk shows only now.
  if (std::fflush(stdout) != 0 && code == kOk) {
    std::fprintf(stderr, "sluice: cannot write to standard output\n");
    return kFailed;
  }
  return code;
}
