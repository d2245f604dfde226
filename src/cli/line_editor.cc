#include "cli/line_editor.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sluice::cli {

Typed read_typed_line(const std::string& prompt, std::string& line) {
  constexpr size_t kMaxTypedBytes = size_t{1} << 20;
  std::fputs(prompt.c_str(), stdout);
  std::fflush(stdout);
  line.clear();
  // Not through stdio: a signal must end the wait, and no byte may be held back. On a terminal a
  // read gives at most one line.
  while (line.size() < kMaxTypedBytes) {
    char byte = 0;
    const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
    if (got < 0 && errno == EINTR) return Typed::kInterrupted;
    if (got <= 0) return line.empty() ? Typed::kEnd : Typed::kLine;
    if (byte == '\n') return Typed::kLine;
    line.push_back(byte);
  }
  return Typed::kLine;
}

}  // namespace sluice::cli
