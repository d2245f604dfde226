// How long the prompts and answers of a batch file are.
#pragma once

#include <string>

#include "batch/file.h"
#include "planner/workload.h"
#include "text/tokenizer.h"

namespace sluice::cli {

struct LengthLimits {
  // Bytes of the file that are read, in pieces spread over it, and of text that goes through the
  // tokenizer: what comes after counts as many bytes a token. 0: no limit.
  int64_t file_bytes = 0;
  int64_t text_bytes = 0;
};

struct BatchLengths {
  planner::Workload workload;  // under the file's name
  bool whole = false;          // every line was read
};

// The lines of `file` from `first_offset` on; a body without max_tokens asks for
// `default_max_tokens`. Without a tokenizer (null) 4 bytes of text are a token. kInvalid if no line
// that was read is a JSON object.
Result<BatchLengths> batch_lengths(const batch::File& file, const std::string& name,
                                   int64_t first_offset, const text::Tokenizer* tokenizer,
                                   int64_t default_max_tokens, const LengthLimits& limits = {});

}  // namespace sluice::cli
