// A command is a file that adds its flags to the program and says what to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/error.h"

namespace sluice::cli {

// Set by the command that the user chose; returns an ExitCode.
using Action = std::function<int()>;

void add_batch(CLI::App& program, Action& action);
void add_run(CLI::App& program, Action& action);
void add_build(CLI::App& program, Action& action);
void add_inspect(CLI::App& program, Action& action);
void add_plan(CLI::App& program, Action& action);
void add_probe(CLI::App& program, Action& action);
void add_simulate(CLI::App& program, Action& action);

// Prints the error's sentence to standard error; the exit code for it.
int fail(const Error& error);

}  // namespace sluice::cli
