// A batch's input: a file, or standard input kept in a scratch file for as long as the run lasts.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "batch/file.h"

namespace sluice::batch {

struct Input {
  File file;
  std::string name;          // as the user gave it
  int64_t first_offset = 0;  // past a byte order mark
  int64_t bytes = 0;
  int64_t requests = 0;  // lines that are not blank
  std::string identity;  // of its content: two equal inputs have equal ones
};

// `path` may be "-". What is not a regular file (standard input, a pipe) is first copied, to its
// end, into a nameless file beside `output_path`. Reads all of it once, for its identity and its
// count. kInvalid: it is UTF-16 or UTF-32, or a directory.
Result<Input> open_input(const std::string& path, const std::string& output_path);

}  // namespace sluice::batch
