#include "schedule/graph.h"

#include <algorithm>

namespace sluice::schedule {

bool Bounds::within(const Bounds& limit) const {
  return tasks <= limit.tasks && dependencies <= limit.dependencies && waits <= limit.waits &&
         signals <= limit.signals && pages <= limit.pages && expansions <= limit.expansions &&
         bytes <= limit.bytes;
}

Bounds& Bounds::operator+=(const Bounds& other) {
  tasks += other.tasks;
  dependencies += other.dependencies;
  waits += other.waits;
  signals += other.signals;
  pages += other.pages;
  expansions += other.expansions;
  bytes += other.bytes;
  return *this;
}

Bounds Bounds::times(int32_t n) const {
  return {tasks * n, dependencies * n, waits * n, signals * n,
          pages * n, expansions * n,   bytes * n};
}

std::string to_string(const Bounds& b) {
  return std::to_string(b.tasks) + " tasks, " + std::to_string(b.dependencies) + " dependencies, " +
         std::to_string(b.waits) + " waits, " + std::to_string(b.signals) + " signals, " +
         std::to_string(b.pages) + " page ranges, " + std::to_string(b.expansions) +
         " expansion points, " + std::to_string(b.bytes) + " bytes moved";
}

void Subgraph::clear() {
  tasks.clear();
  dependencies.clear();
  waits.clear();
  signals.clear();
  pages.clear();
  expansions.clear();
  exclusive = false;
}

void Subgraph::reserve(const Bounds& bounds) {
  tasks.reserve(bounds.tasks);
  dependencies.reserve(bounds.dependencies);
  waits.reserve(bounds.waits);
  signals.reserve(bounds.signals);
  pages.reserve(bounds.pages);
  expansions.reserve(bounds.expansions);
}

Bounds Subgraph::size() const {
  Bounds size{static_cast<int32_t>(tasks.size()),
              static_cast<int32_t>(dependencies.size()),
              static_cast<int32_t>(waits.size()),
              static_cast<int32_t>(signals.size()),
              static_cast<int32_t>(pages.size()),
              static_cast<int32_t>(expansions.size()),
              0};
  for (const Task& task : tasks) {
    if (const Transfer* transfer = task.transfer()) size.bytes += transfer->bytes;
  }
  return size;
}

namespace {

template <class T>
void append(std::vector<T>& array, Range& range, const T& value) {
  if (range.count++ == 0) range.first = static_cast<uint32_t>(array.size());
  array.push_back(value);
}

}  // namespace

TaskIndex Subgraph::add(const Task& task) {
  Task& added = tasks.emplace_back(task);
  added.dependencies = added.waits = added.signals = added.pages = Range{};
  added.expansion = kNone;
  return static_cast<TaskIndex>(tasks.size() - 1);
}

void Subgraph::after(Dependency dependency) {
  append(dependencies, tasks.back().dependencies, dependency);
}
void Subgraph::wait(const Event& event) { append(waits, tasks.back().waits, event); }
void Subgraph::signal(const Signal& signal) { append(signals, tasks.back().signals, signal); }
void Subgraph::need(PageRange range) { append(pages, tasks.back().pages, range); }

void Subgraph::expand(const Bounds& bounds) {
  tasks.back().expansion = static_cast<uint32_t>(expansions.size());
  const models::Stage* stage = tasks.back().stage();
  expansions.push_back({.task = static_cast<TaskIndex>(tasks.size() - 1),
                        .layer = tasks.back().layer,
                        .bounds = bounds,
                        .guess = stage != nullptr && stage->kind == models::StageKind::kGuess});
}

}  // namespace sluice::schedule
