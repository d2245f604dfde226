// A piece of the rolling task graph: one iteration of one micro-batch, or what one expansion point
// became once routing was known.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "schedule/task.h"

namespace sluice::schedule {

// After an earlier task of the same subgraph: the task itself or, if it is an expansion point, the
// end of everything that it expanded to.
class Dependency {
 public:
  Dependency() = default;
  static Dependency task(TaskIndex index) { return Dependency(index); }
  static Dependency expansion(TaskIndex index) { return Dependency(index | kEnd); }

  TaskIndex index() const { return bits_ & ~kEnd; }
  bool after_expansion() const { return (bits_ & kEnd) != 0; }
  // The same, where the subgraph's tasks begin at `base` of a larger array.
  Dependency moved(uint32_t base) const { return Dependency(bits_ + base); }
  bool operator==(const Dependency&) const = default;

 private:
  static constexpr uint32_t kEnd = 0x80000000;
  explicit Dependency(uint32_t bits) : bits_(bits) {}
  uint32_t bits_ = 0;
};

// What a subgraph holds at most.
struct Bounds {
  int32_t tasks = 0;
  int32_t dependencies = 0;
  int32_t waits = 0;
  int32_t signals = 0;
  int32_t pages = 0;  // page ranges
  int32_t expansions = 0;
  int64_t bytes = 0;  // of its transfers

  bool within(const Bounds& limit) const;
  Bounds& operator+=(const Bounds& other);
  Bounds times(int32_t n) const;
  bool operator==(const Bounds&) const = default;
};
std::string to_string(const Bounds& bounds);

// A task after which the graph grows, by at most `bounds`. What it grows by runs after this task;
// an expansion holds no expansion point itself.
struct ExpansionPoint {
  TaskIndex task = 0;
  int16_t layer = -1;
  Bounds bounds{};
  bool guess =
      false;  // the task guesses what a router will choose: nothing waits for what comes of it
  bool operator==(const ExpansionPoint&) const = default;
};

// Arrays of plain values, filled in topological order: a task depends on earlier tasks only.
// Storage is kept over clear(), so that building one again allocates nothing.
struct Subgraph {
  std::vector<Task> tasks;
  std::vector<Dependency> dependencies;
  std::vector<Event> waits;
  std::vector<Signal> signals;
  std::vector<PageRange> pages;
  std::vector<ExpansionPoint> expansions;
  bool exclusive = false;  // starts when every iteration submitted before it has ended

  void clear();
  void reserve(const Bounds& bounds);
  Bounds size() const;

  // Adds a task without dependencies; those below then belong to the last task added.
  TaskIndex add(const Task& task);
  void after(Dependency dependency);
  void wait(const Event& event);
  void signal(const Signal& signal);
  void need(PageRange range);
  void expand(const Bounds& bounds);

  template <class T>
  static std::span<const T> slice(const std::vector<T>& array, Range range) {
    return std::span<const T>(array).subspan(range.first, range.count);
  }
  std::span<const Dependency> dependencies_of(const Task& task) const {
    return slice(dependencies, task.dependencies);
  }
  std::span<const Event> waits_of(const Task& task) const { return slice(waits, task.waits); }
  std::span<const Signal> signals_of(const Task& task) const {
    return slice(signals, task.signals);
  }
  std::span<const PageRange> pages_of(const Task& task) const { return slice(pages, task.pages); }

  bool operator==(const Subgraph&) const = default;
};

// kInvalid if a range or dependency lies outside, a task depends on a later one or on the end of a
// task that does not expand, work stands on a lane that cannot do it, or the bounds are passed.
// `nested` is for an expansion, which may hold no expansion point.
Status validate(const Subgraph& graph, const Bounds& bounds, bool nested = false);

// Whether a lane can carry this: compute lanes run stages (the host's also copies into staging),
// a link or disk only what goes its way.
bool legal(Lane lane, const Task& task);

// For people: a line per task; and Graphviz, for documents.
std::string to_text(const Subgraph& graph);
std::string to_dot(const Subgraph& graph);

}  // namespace sluice::schedule
