// Answers against the ones expected: accuracy by task, and which experts each task used.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "batch/output.h"

namespace sluice::batch {

inline constexpr size_t kMaxExpected = 10'000'000;
inline constexpr size_t kMaxTasks = 256;

struct TaskScore {
  std::string task;
  int64_t expected = 0;  // answers that the file names
  int64_t correct = 0, wrong = 0, failed = 0, missing = 0;
  // [layer * experts + expert]: (token, expert) pairs, of the requests of this run.
  std::vector<int64_t> expert_tokens;
};

struct Scores {
  std::vector<TaskScore> tasks;  // by name
  int layers = 0, experts = 0;   // of expert_tokens
  // Mutual information of task and expert by layer, in bits; empty when no experts were counted.
  std::vector<double> information_bits;

  TaskScore total() const;
};

class Scorer {
 public:
  // `path`: lines of {"custom_id", "task", "expected"}. Errors name the line.
  static Result<Scorer> open(const std::string& path);

  // Of the model whose experts are counted.
  void set_shape(int layers, int experts) {
    layers_ = layers;
    experts_ = experts;
  }
  // Experts that a request used, as the engine counts them; ids that are not expected are passed
  // over.
  void add_experts(const std::string& custom_id, const std::vector<uint32_t>& expert_tokens);
  // Reads every answer of the output, those of earlier runs too.
  Result<Scores> score(const Output& output) const;

 private:
  struct Expected {
    uint32_t task = 0;
    std::string answer;
  };
  int layers_ = 0, experts_ = 0;
  std::vector<TaskScore> tasks_;
  std::unordered_map<std::string, Expected> expected_;
};

// Equal but for white space around, or equal as JSON.
bool same_answer(const std::string& answer, const std::string& expected);

// Mutual information, in bits, of rows and columns of a table of counts.
double mutual_information_bits(const std::vector<std::vector<int64_t>>& table);

}  // namespace sluice::batch
