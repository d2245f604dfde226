#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "batch/bars.h"
#include "cli/plan_page.h"

namespace sluice::cli {
namespace {

using planner::ReplayedTask;
using schedule::Lane;

constexpr int kNameCells = 16;
constexpr const char* kIdle = "·";

// A letter for each kind of work; "" is none that is drawn.
const char* letter(std::string_view what) {
  static const std::map<std::string_view, const char*> kLetters = {
      {"qkv", "q"},     {"attend", "A"}, {"o_proj", "o"},  {"expert_group", "E"}, {"shared", "s"},
      {"weights", "w"}, {"kv", "k"},     {"hidden", "h"},  {"head", "H"},         {"logits", "l"},
      {"sample", "S"},  {"route", "r"},  {"combine", "c"}, {"dispatch", "d"},     {"embed", "e"}};
  const auto found = kLetters.find(what);
  return found == kLetters.end() ? "?" : found->second;
}

// What fills most of each cell, and how much of the window the lane works.
struct Row {
  std::vector<std::map<std::string_view, double>> cells;
  double busy = 0;
};

void add(const ReplayedTask& task, double from, double cell_seconds, Row& row) {
  const double until = from + cell_seconds * static_cast<double>(row.cells.size());
  double at = std::max(task.begin, from);
  const double end = std::min(task.end, until);
  if (end <= at) return;
  row.busy += end - at;
  while (at < end) {
    const auto cell =
        std::min(static_cast<size_t>((at - from) / cell_seconds), row.cells.size() - 1);
    const double edge = cell + 1 == row.cells.size()
                            ? end
                            : std::min(end, from + cell_seconds * static_cast<double>(cell + 1));
    row.cells[cell][task.what] += std::max(edge - at, 0.0);
    if (edge <= at) break;
    at = edge;
  }
}

std::string drawn(const Row& row, double cell_seconds) {
  std::string text;
  for (const auto& cell : row.cells) {
    std::string_view most;
    double seconds = 0, sum = 0;
    for (const auto& [what, time] : cell) {
      sum += time;
      if (time <= seconds) continue;
      most = what;
      seconds = time;
    }
    text += sum < 0.25 * cell_seconds ? kIdle : letter(most);
  }
  return text;
}

}  // namespace

std::string plan_timeline(const planner::Answer& answer, int width) {
  if (!answer.replayed || answer.replayed->timeline.empty()) return "";
  const std::vector<ReplayedTask>& tasks = answer.replayed->timeline;
  double until = 0;
  for (const ReplayedTask& task : tasks) until = std::max(until, task.end);
  const double window = std::min(answer.seconds_per_token, until - tasks.front().begin);
  const double from = until - window;
  const double cell_seconds = window / width;
  if (cell_seconds <= 0) return "";
  std::array<Row, schedule::kLanes> rows;
  for (Row& row : rows) row.cells.resize(static_cast<size_t>(width));
  for (const ReplayedTask& task : tasks)
    add(task, from, cell_seconds, rows[static_cast<size_t>(task.lane)]);
  std::string text;
  for (int lane = 0; lane < schedule::kLanes; ++lane) {
    const Row& row = rows[static_cast<size_t>(lane)];
    if (row.busy <= 0) continue;
    text += "  " + batch::pad(schedule::name(static_cast<Lane>(lane)), kNameCells) +
            drawn(row, cell_seconds) + " " + batch::pad_left(batch::percent(row.busy / window), 6) +
            "\n";
  }
  return text;
}

}  // namespace sluice::cli
