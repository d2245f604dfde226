// The part of the closing report that says how good the answers were, task by task.
#include <algorithm>
#include <cstdio>
#include <numeric>

#include "base/units.h"
#include "batch/bars.h"
#include "batch/report.h"

namespace sluice::batch {
namespace {

constexpr int kTaskLayers = 2;  // of which the table of tasks shows the experts

}  // namespace

std::string score_text(const Scores& scores, int columns) {
  int name_cells = 4;
  for (const TaskScore& task : scores.tasks) name_cells = std::max(name_cells, cells(task.task));
  // The layers that tell tasks apart best.
  std::vector<int> layers(static_cast<size_t>(scores.layers));
  std::iota(layers.begin(), layers.end(), 0);
  std::sort(layers.begin(), layers.end(), [&](int a, int b) {
    const double bits_a = scores.information_bits[static_cast<size_t>(a)];
    const double bits_b = scores.information_bits[static_cast<size_t>(b)];
    return bits_a != bits_b ? bits_a > bits_b : a < b;
  });
  layers.resize(std::min<size_t>(layers.size(), kTaskLayers));
  std::sort(layers.begin(), layers.end());
  const int heat_cells = std::min(scores.experts, 32);
  const int bar_cells = std::clamp(
      columns - name_cells - 26 - static_cast<int>(layers.size()) * (heat_cells + 3), 8, 20);

  const std::string indent(static_cast<size_t>(name_cells + bar_cells + 24), ' ');
  std::string text = "\n  accuracy by task";
  if (!layers.empty()) {
    std::string names, bits;
    for (const int layer : layers) {
      char value[32];
      std::snprintf(value, sizeof value, "%.2f bit",
                    scores.information_bits[static_cast<size_t>(layer)]);
      names += pad("layer " + std::to_string(layer), heat_cells + 3);
      bits += pad(value, heat_cells + 3);
    }
    text += ", and the experts each task used, where they tell tasks apart best (measured)\n" +
            indent + names + "\n" + indent + bits;
  }
  text += "\n";
  const auto line = [&](const TaskScore& task, const std::string& label) {
    const double share =
        task.expected > 0 ? static_cast<double>(task.correct) / static_cast<double>(task.expected)
                          : 0;
    text += "  " + pad(label, name_cells) + " ▕" + bar(share, bar_cells) + "▏ " +
            pad_left(percent(share), 6) + "  " +
            pad(base::format_count(task.correct) + "/" + base::format_count(task.expected), 11);
    for (const int layer : layers) {
      if (task.expert_tokens.empty()) break;
      const auto begin = task.expert_tokens.begin() + std::ptrdiff_t{layer} * scores.experts;
      const std::vector<double> values(begin, begin + scores.experts);
      text += "▕" + heat(values, heat_cells) + "▏ ";
    }
    if (task.failed > 0) text += " " + base::format_count(task.failed) + " error lines";
    if (task.missing > 0) text += " " + base::format_count(task.missing) + " not answered";
    text += "\n";
  };
  for (const TaskScore& task : scores.tasks) line(task, task.task);
  TaskScore all = scores.total();
  line(all, "all");
  return text;
}

}  // namespace sluice::batch
