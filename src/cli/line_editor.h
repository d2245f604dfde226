// Reads lines that a person types.
#pragma once

#include <string>

namespace sluice::cli {

enum class Typed { kLine, kInterrupted, kEnd };

// Prints `prompt` and waits for a line. kInterrupted: Ctrl-C was pressed instead. The terminal's
// own editing applies (backspace, Ctrl-U, Ctrl-W).
Typed read_typed_line(const std::string& prompt, std::string& line);

}  // namespace sluice::cli
