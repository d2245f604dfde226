#include <sstream>

#include "schedule/graph.h"

namespace sluice::schedule {

namespace {

const char* color(Lane lane) {
  switch (lane) {
    case Lane::kDeviceCompute:
      return "palegreen";
    case Lane::kHostCompute:
      return "lightblue";
    case Lane::kHostToDevice:
      return "gold";
    case Lane::kDeviceToHost:
      return "orange";
    case Lane::kDisk:
      return "lightgray";
    case Lane::kNetwork:
      return "plum";
  }
  return "white";
}

}  // namespace

std::string to_text(const Subgraph& graph) {
  std::ostringstream out;
  if (graph.exclusive) out << "after every earlier iteration\n";
  for (size_t i = 0; i < graph.tasks.size(); ++i) {
    const Task& task = graph.tasks[i];
    out << i << "  " << name(task.lane) << "  " << label(task);
    if (task.expansion != kNone) {
      out << "  expands (" << to_string(graph.expansions[task.expansion].bounds) << ")";
    }
    const char* separator = "  after ";
    for (Dependency d : graph.dependencies_of(task)) {
      out << separator << d.index() << (d.after_expansion() ? " and what it expands to" : "");
      separator = ", ";
    }
    for (const Event& event : graph.waits_of(task)) out << "  waits: " << to_string(event);
    for (const Signal& signal : graph.signals_of(task)) {
      out << "  signals: " << to_string(signal.event) << " x" << signal.waits;
    }
    for (PageRange range : graph.pages_of(task)) {
      out << "  needs p" << range.first << "+" << range.count;
    }
    if (task.rank != 0) out << "  rank " << task.rank;
    if (task.predicted_ns != 0) out << "  predicted " << task.predicted_ns << " ns";
    out << "\n";
  }
  return out.str();
}

std::string to_dot(const Subgraph& graph) {
  std::ostringstream out;
  out << "digraph schedule {\n  rankdir=LR; node [shape=box, style=filled, fontname=sans];\n";
  for (size_t i = 0; i < graph.tasks.size(); ++i) {
    const Task& task = graph.tasks[i];
    out << "  t" << i << " [label=\"" << label(task) << "\", fillcolor=" << color(task.lane);
    if (task.expansion != kNone) out << ", peripheries=2";
    out << "];\n";
    for (Dependency d : graph.dependencies_of(task)) {
      out << "  t" << d.index() << " -> t" << i << (d.after_expansion() ? " [style=bold]" : "")
          << ";\n";
    }
    for (const Event& event : graph.waits_of(task)) {
      out << "  \"" << to_string(event) << "\" -> t" << i << " [style=dashed];\n";
    }
    for (const Signal& signal : graph.signals_of(task)) {
      out << "  t" << i << " -> \"" << to_string(signal.event) << "\" [style=dashed];\n";
    }
  }
  out << "}\n";
  return out.str();
}

}  // namespace sluice::schedule
