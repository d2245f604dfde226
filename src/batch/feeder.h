// Reads a batch's input ahead of the engine: lines become token ids, the answered ones are passed
// over, the bad ones are set apart, and within a window they are sorted so that neighbours are of
// like length and share their beginnings.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "batch/id_index.h"
#include "batch/input.h"
#include "batch/line.h"
#include "batch/line_reader.h"
#include "batch/model_text.h"

namespace sluice::batch {

struct FeederOptions {
  int64_t default_max_tokens = 256;  // where a body names none; less if the context is shorter
  int64_t max_seq_len = 0;
  int64_t window_lines = 1024;                       // sorted together
  int64_t window_tokens = int64_t{1} << 20;          // of their prompts, about 4 bytes each
  engine::SamplingParams sampling;                   // for what a body leaves out
  std::string model_name;                            // bodies that name another are refused...
  bool any_model_name = true;                        // ...unless they may
  const std::atomic<int>* stop_requested = nullptr;  // ends a window early when not 0
};

// A line ready to be submitted, one request per prompt.
struct ReadyLine {
  int64_t number = 0;
  std::string custom_id;  // or the id that stands for it
  BatchLine line;         // its messages are gone: they are in `prompts`
  std::vector<std::vector<int32_t>> prompts;
  std::vector<int64_t> max_tokens;  // of each prompt

  int64_t prompt_tokens() const;
};

struct BadLine {
  int64_t number = 0;
  std::string custom_id;
  LineError error;
};

struct Window {
  std::vector<ReadyLine> ready;  // in the order to submit them
  std::vector<BadLine> bad;
  int64_t passed_over = 0;   // answered before
  int64_t other_models = 0;  // lines that name a model other than this one
  bool at_end = false;       // the input has no more
};

class Feeder {
 public:
  // What it is given outlives it. `index` knows already what the output has.
  Feeder(const Input& input, IdIndex& index, const ModelText& text, FeederOptions options);

  // The next window. An error is one of the file, not of a line.
  Result<Window> next();

 private:
  Status take(const Line& line, Window& window);
  // True when the line is to be answered; otherwise it has been dealt with.
  Result<bool> identify(const Line& line, ParsedLine& parsed, std::string& custom_id,
                        Window& window);
  Result<ReadyLine> prepare(BatchLine line, int64_t number, const std::string& custom_id,
                            LineError& error) const;

  LineReader reader_;
  IdIndex& index_;
  const ModelText& text_;
  FeederOptions options_;
  int64_t window_tokens_ = 0;
};

}  // namespace sluice::batch
