#include "sim/answers_check.h"

#include <fstream>
#include <map>
#include <sstream>

#include "batch/answer.h"

namespace sluice::sim {
namespace {

// Where two answers part, for the one who looks for the reason.
std::string difference(const std::string& got, const std::string& wanted) {
  size_t at = 0;
  while (at < got.size() && at < wanted.size() && got[at] == wanted[at]) ++at;
  const size_t from = at < 40 ? 0 : at - 40;
  return "..." + got.substr(from, 120) + "... instead of ..." + wanted.substr(from, 120) + "...";
}

}  // namespace

bool check_answers(const std::string& output_path, const std::vector<const PoolLine*>& lines,
                   bool ended, bool may_fail, World& world) {
  std::ifstream file(output_path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  const std::string text = std::move(bytes).str();
  std::map<std::string, const PoolLine*> wanted;
  for (const PoolLine* line : lines) wanted[line->custom_id] = line;
  size_t at = 0;
  bool answered = true;
  while (at < text.size() && world.sound()) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end == std::string::npos ? end : end - at);
    // What a loss of power has left damaged is the next run's to cut off.
    const std::string id = end == std::string::npos ? "" : custom_id_of(line);
    if (id.empty()) {
      if (ended) world.violated("the output ends in a damaged line: " + line.substr(0, 80));
      return answered;
    }
    const auto found = wanted.find(id);
    if (found == wanted.end()) {
      world.violated("'" + id + "' is answered twice, or unasked");
      return answered;
    }
    const PoolLine& request = *found->second;
    if (batch::read_answer_head(line)->fault) {
      if (!may_fail) world.violated("'" + id + "' has failed, and nothing was to blame");
      answered = false;
      ++world.counts[Happening::kFaultLine];
      wanted.erase(found);
      at = end + 1;
      continue;
    }
    const std::string answer = comparable(line);
    if (line.find('\0') != std::string::npos && !ended) return answered;
    if (answer != request.answer) {
      world.violated("'" + id + "' has another answer than when it is run alone: " +
                     difference(answer, request.answer));
      return answered;
    }
    if (ended) ++world.counts[request.error ? Happening::kErrorLine : Happening::kAnswer];
    wanted.erase(found);
    at = end + 1;
  }
  if (ended && !wanted.empty())
    world.violated("'" + wanted.begin()->first + "' and " + std::to_string(wanted.size() - 1) +
                   " others have no answer");
  return answered;
}

}  // namespace sluice::sim
