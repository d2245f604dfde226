// A check of a flag's value that the help need not spell out: the error does, when it fails.
#pragma once

#include <CLI/CLI.hpp>

namespace sluice::cli {

inline CLI::Validator quiet(CLI::Validator check) {
  check.description("");
  return check;
}

}  // namespace sluice::cli
