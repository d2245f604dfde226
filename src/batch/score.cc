#include "batch/score.h"

#include <fcntl.h>

#include <algorithm>
#include <cmath>

#include "batch/line_reader.h"

namespace sluice::batch {
namespace {

std::string trimmed(const std::string& text) {
  constexpr const char* kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// The text of an answer's first choice; nothing for an error line.
std::optional<std::string> first_text(const Json& answer) {
  for (const char* pointer :
       {"/response/body/choices/0/message/content", "/response/body/choices/0/text"}) {
    const Json::json_pointer at(pointer);
    if (answer.contains(at) && answer[at].is_string()) return answer[at].get<std::string>();
  }
  return std::nullopt;
}

}  // namespace

bool same_answer(const std::string& answer, const std::string& expected) {
  const std::string a = trimmed(answer), b = trimmed(expected);
  if (a == b) return true;
  if (a.empty() || b.empty() || (b[0] != '{' && b[0] != '[')) return false;
  const auto json_a = base::parse_json(a), json_b = base::parse_json(b);
  // nlohmann::json compares objects whatever the order of their keys; the ordered one does not.
  return json_a && json_b && nlohmann::json(*json_a) == nlohmann::json(*json_b);
}

double mutual_information_bits(const std::vector<std::vector<int64_t>>& table) {
  std::vector<double> columns;
  double total = 0;
  for (const auto& row : table) {
    columns.resize(std::max(columns.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) columns[i] += static_cast<double>(row[i]);
  }
  for (const double column : columns) total += column;
  double bits = 0;
  for (const auto& row : table) {
    double row_total = 0;
    for (const int64_t count : row) row_total += static_cast<double>(count);
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i] == 0) continue;
      const auto joint = static_cast<double>(row[i]);
      bits += joint / total * std::log2(joint * total / (row_total * columns[i]));
    }
  }
  return bits;
}

TaskScore Scores::total() const {
  TaskScore all;
  for (const TaskScore& task : tasks) {
    all.expected += task.expected;
    all.correct += task.correct;
    all.wrong += task.wrong;
    all.failed += task.failed;
    all.missing += task.missing;
  }
  return all;
}

Result<Scorer> Scorer::open(const std::string& path) {
  Scorer scorer;
  std::map<std::string, uint32_t> by_name;
  SLUICE_ASSIGN(const File file, File::open(path, O_RDONLY));
  LineReader reader(file);
  for (;;) {
    SLUICE_ASSIGN(const std::optional<Line> line, reader.next());
    if (!line) break;
    const std::string where = path + ", line " + std::to_string(line->number);
    if (line->too_long) return Error{ErrorCode::kInvalid, where + ": the line is too long"};
    if (trimmed(std::string(line->text)).empty()) continue;
    auto json = base::parse_json(line->text);
    if (!json) return json.error().in(where);
    SLUICE_ASSIGN(const std::string id, base::field<std::string>(*json, "custom_id", where));
    SLUICE_ASSIGN(const std::string task, base::field<std::string>(*json, "task", where));
    SLUICE_ASSIGN(std::string answer, base::field<std::string>(*json, "expected", where));
    const auto index = by_name.emplace(task, static_cast<uint32_t>(by_name.size())).first->second;
    if (by_name.size() > kMaxTasks || scorer.expected_.size() >= kMaxExpected) {
      return Error{ErrorCode::kInvalid, where + ": more than " + std::to_string(kMaxTasks) +
                                            " tasks or " + std::to_string(kMaxExpected) +
                                            " answers, which is the limit"};
    }
    if (!scorer.expected_.emplace(id, Expected{index, std::move(answer)}).second)
      return Error{ErrorCode::kInvalid, where + ": the custom_id '" + id + "' comes twice"};
  }
  scorer.tasks_.resize(by_name.size());
  for (const auto& [name, index] : by_name) scorer.tasks_[index].task = name;
  for (const auto& [id, expected] : scorer.expected_) ++scorer.tasks_[expected.task].expected;
  return scorer;
}

void Scorer::add_experts(const std::string& custom_id, const std::vector<uint32_t>& expert_tokens) {
  const auto it = expected_.find(custom_id);
  if (it == expected_.end()) return;
  auto& counts = tasks_[it->second.task].expert_tokens;
  counts.resize(std::max(counts.size(), expert_tokens.size()));
  for (size_t i = 0; i < expert_tokens.size(); ++i) counts[i] += expert_tokens[i];
}

Result<Scores> Scorer::score(const Output& output) const {
  Scores scores;
  scores.tasks = tasks_;
  LineReader reader(output.file(), 0, kMaxAnswerBytes);
  for (;;) {
    SLUICE_ASSIGN(const std::optional<Line> line, reader.next());
    if (!line) break;
    const auto head = read_answer_head(line->text);
    if (!head) continue;
    const auto it = expected_.find(head->custom_id);
    if (it == expected_.end()) continue;
    TaskScore& task = scores.tasks[it->second.task];
    base::JsonLimits limits;
    limits.bytes = kMaxAnswerBytes;
    SLUICE_ASSIGN(const Json answer, base::parse_json(line->text, limits));
    const auto text = first_text(answer);
    if (head->failed || !text) {
      ++task.failed;
    } else {
      ++(same_answer(*text, it->second.answer) ? task.correct : task.wrong);
    }
  }
  bool counted = false;
  for (TaskScore& task : scores.tasks) {
    task.missing = task.expected - task.correct - task.wrong - task.failed;
    counted = counted || !task.expert_tokens.empty();
    task.expert_tokens.resize(static_cast<size_t>(layers_) * static_cast<size_t>(experts_));
  }
  std::sort(scores.tasks.begin(), scores.tasks.end(),
            [](const TaskScore& a, const TaskScore& b) { return a.task < b.task; });
  if (!counted) return scores;
  scores.layers = layers_;
  scores.experts = experts_;
  for (int layer = 0; layer < layers_; ++layer) {
    std::vector<std::vector<int64_t>> table;
    for (const TaskScore& task : scores.tasks) {
      const auto begin = task.expert_tokens.begin() + std::ptrdiff_t{layer} * experts_;
      table.emplace_back(begin, begin + experts_);
    }
    scores.information_bits.push_back(mutual_information_bits(table));
  }
  return scores;
}

}  // namespace sluice::batch
