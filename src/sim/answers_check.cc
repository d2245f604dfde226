#include "sim/answers_check.h"

#include <fstream>
#include <map>
#include <sstream>

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

void check_answers(const std::string& output_path, const std::vector<const PoolLine*>& lines,
                   bool ended, World& world) {
  std::ifstream file(output_path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  const std::string text = std::move(bytes).str();
  std::map<std::string, const PoolLine*> wanted;
  for (const PoolLine* line : lines) wanted[line->custom_id] = line;
  size_t at = 0;
  while (at < text.size() && world.sound()) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end == std::string::npos ? end : end - at);
    // What a loss of power has left damaged is the next run's to cut off.
    const std::string id = end == std::string::npos ? "" : custom_id_of(line);
    if (id.empty()) {
      if (ended) world.violated("the output ends in a damaged line: " + line.substr(0, 80));
      return;
    }
    const auto found = wanted.find(id);
    if (found == wanted.end()) return world.violated("'" + id + "' is answered twice, or unasked");
    const PoolLine& request = *found->second;
    const std::string answer = comparable(line);
    if (line.find('\0') != std::string::npos && !ended) return;
    if (answer != request.answer)
      return world.violated("'" + id + "' has another answer than when it is run alone: " +
                            difference(answer, request.answer));
    if (ended) ++world.counts[request.error ? Happening::kErrorLine : Happening::kAnswer];
    wanted.erase(found);
    at = end + 1;
  }
  if (ended && !wanted.empty())
    world.violated("'" + wanted.begin()->first + "' and " + std::to_string(wanted.size() - 1) +
                   " others have no answer");
}

}  // namespace sluice::sim
