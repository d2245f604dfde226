// Checks of a flag's value that the help need not spell out: the error does, when one fails.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

namespace sluice::cli {

inline CLI::Validator quiet(CLI::Validator check) {
  check.description("");
  return check;
}

// One of two or more names: "'q5' is given; none, q8 or q4 is expected".
inline CLI::Validator one_of(std::vector<std::string> names) {
  const auto check = [names = std::move(names)](const std::string& value) {
    if (std::ranges::find(names, value) != names.end()) return std::string();
    std::string all = names.front();
    for (size_t i = 1; i < names.size(); ++i)
      all += (i + 1 < names.size() ? ", " : " or ") + names[i];
    return "'" + value + "' is given; " + all + " is expected";
  };
  return {check, ""};
}

}  // namespace sluice::cli
