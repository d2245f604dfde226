// The rolling task graph: several iterations in flight, each growing at its expansion points, and
// which of their tasks may start. No threads, no clock: the pipeline drives it under a lock with
// real lanes; a replay drives it in virtual time.
//
// A task is waiting, ready, running, done or failed. Done and failed are final; every task ends in
// one of them, exactly once. A failed task fails its iteration with the first cause: what has not
// started of it fails at once, and so does, in other iterations, whatever waits for its events.
// Other iterations run.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "schedule/builder.h"
#include "schedule/event_table.h"
#include "schedule/graph.h"
#include "schedule/ready_queue.h"

namespace sluice::schedule {

// An iteration in flight; never reused.
struct Ticket {
  uint32_t slot = kNone;
  uint64_t iteration = 0;  // counts submissions
  bool operator==(const Ticket&) const = default;
};

// Storage is reserved for these once; what does not fit is refused by name.
struct GraphLimits {
  int32_t max_iterations_in_flight = 1;
  Bounds max_iteration{};     // of one iteration with all its expansions: BuilderBounds::total()
  Bounds max_expansion{};     // of one expansion
  int64_t max_events = 4096;  // named and not yet forgotten
};

class RollingGraph {
 public:
  explicit RollingGraph(const GraphLimits& limits);

  // Called with the `user` of each iteration that fails, once, when none of its tasks runs any
  // more: what its tasks had taken and will not give back can be taken from it. Must not call back.
  void on_failed_end(std::function<void(uint64_t user)> told) { told_ = std::move(told); }

  // Builds an iteration and admits it. `user` is handed back with its tasks. The builder and what
  // `context` points to must live until the iteration has ended. kNoRoom if it passes a limit,
  // kInvalid if a task stands on a lane outside `lanes` (a bit per lane).
  Result<Ticket> submit(const Context& context, const Builder& builder, uint64_t user,
                        uint32_t lanes);

  // The next task of a lane; it is then running, until complete() or fail().
  bool take(Lane lane, TaskRef& task);
  // A task that was taken and could not start: it is ready again (true) or, if its iteration has
  // failed meanwhile, fails.
  bool give_back(TaskRef task);
  void complete(TaskRef task, const RoutingOutcome& routing);
  void fail(TaskRef task, const Error& error);

  // Every task not yet started fails with `error`.
  void cancel(Ticket ticket, const Error& error);

  // True once none of its tasks is waiting, ready or running.
  bool ended(Ticket ticket) const;
  // The task of its own that failed first; none if it failed by an event or was cancelled.
  std::optional<Task> failed_task(Ticket ticket) const;
  // How it ended; gives the slot back. One that still runs gives it back by itself at its end.
  Status release(Ticket ticket);

  // From outside the graph. kNoRoom if max_events are named already.
  Status signal(const Signal& signal, const Error* error);
  // Forgets all events. Only while nothing is in flight: the next iteration must be built cold.
  void clear_events();

  const Task& task(TaskRef ref) const { return flights_[ref.slot].graph.tasks[ref.task]; }
  const Subgraph& graph(TaskRef ref) const { return flights_[ref.slot].graph; }
  uint64_t user(TaskRef ref) const { return flights_[ref.slot].user; }
  Ticket ticket(TaskRef ref) const { return {ref.slot, flights_[ref.slot].iteration}; }
  size_t ready(Lane lane) const { return ready_[static_cast<size_t>(lane)].size(); }
  bool live(Ticket ticket) const;
  int in_flight() const { return in_flight_; }

  // Lanes that became ready to run something since the last call, a bit per lane.
  uint32_t take_woken();
  // Whether an iteration that failed has ended since the last call: there may be room again.
  bool take_failed_end() { return std::exchange(failed_end_, false); }
  // One sentence on what an iteration that goes nowhere waits for.
  std::string stalled(Ticket ticket) const;

 private:
  enum class State : uint8_t { kWaiting, kReady, kRunning, kDone, kFailed };
  struct Node {
    State state = State::kWaiting;
    uint32_t pending = 0;         // dependencies and events still to come
    uint32_t successors = kNone;  // edges
    uint32_t part_of = kNone;     // the expansion that it belongs to
  };
  struct Edge {
    uint32_t next = kNone;
    TaskIndex target = 0;
  };
  struct Expansion {
    uint32_t remaining = 0;
    uint32_t successors = kNone;  // of its end
    bool failed = false;
    bool ended = false;
  };
  struct Flight {
    Subgraph graph;  // the iteration's, with its expansions appended
    std::vector<Node> nodes;
    std::vector<Edge> edges;
    std::vector<Expansion> expansions;
    Context context;
    const Builder* builder = nullptr;
    uint64_t user = 0;
    uint64_t iteration = 0;
    int64_t reserved_events = 0;  // that its coming expansions may name
    uint32_t remaining = 0;       // tasks not ended
    bool used = false;
    bool gated = false;      // waits for every earlier iteration
    bool abandoned = false;  // released before its end
    bool failed = false;
    bool given_up = false;  // failed, and what had not started has been told
    TaskIndex cause = kNone;
    Error error;
  };

  Flight& flight(Ticket ticket);
  const Flight& flight(Ticket ticket) const;
  Status admit(const Flight& flight, uint32_t lanes) const;
  void link(uint32_t slot, size_t first, uint32_t part_of);
  void link_task(uint32_t slot, size_t index);
  void add_edge(Flight& flight, uint32_t& list, TaskIndex target);
  void splice(uint32_t slot, const ExpansionPoint& point);
  void expand(TaskRef ref, const RoutingOutcome& routing);
  void make_ready(TaskRef ref);
  void arrive(TaskRef ref);
  void doom(TaskRef ref, const Error& cause);
  void give_up(uint32_t slot);
  void settle();
  void settle_task(TaskRef ref);
  void end_expansion(uint32_t slot, uint32_t expansion);
  void walk(uint32_t slot, uint32_t list, bool failed);
  void end_iteration(uint32_t slot);
  void open_gates();
  void free_slot(Flight& flight);

  GraphLimits limits_;
  std::vector<Flight> flights_;
  std::array<ReadyQueue, kLanes> ready_;
  EventTable events_;
  Subgraph scratch_;            // an expansion before it is spliced in
  std::vector<TaskRef> ended_;  // tasks that ended and whose successors have not been told
  uint64_t submitted_ = 0;
  int64_t reserved_events_ = 0;
  int in_flight_ = 0;
  uint32_t woken_ = 0;
  bool failing_ = false;  // an iteration has failed and is not given up yet
  bool failed_end_ = false;
  std::function<void(uint64_t user)> told_;
};

}  // namespace sluice::schedule
