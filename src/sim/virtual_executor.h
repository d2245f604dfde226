// Lanes in virtual time, on one thread: the same graph and the same runners as with threads
// (pipeline/thread_executor.h), and whatever order of events threads might have come to.
//
// A task of a compute lane takes a time that is drawn, or predicted where a machine is emulated.
// Its work is done at once, at the beginning or at the end of that time: a graph that lets two
// tasks run at once must be right either way. Whose turn it is at one moment is drawn as well, and
// lanes now and then wake late.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "pipeline/executor.h"
#include "sim/watch.h"
#include "sim/world.h"

namespace sluice::sim {

// Broken on purpose, by tests: what the invariants must catch.
enum class Mutation : uint8_t {
  kNone,
  kReleasesEarly,  // pages are given back when a task begins, and taken again at its end
  kReadsEndEarly,  // reads of experts have ended when they are started
  kLosesWakeUps,   // a transfer without room is not told that there is room
  kLosesAnEnd,     // now and then nobody hears that a transfer has ended
  kSyncsLie,       // files are said to be synced and are not (virtual_files.h)
};

struct LanePace {
  int64_t task_ns = 20'000;  // of a task that nobody has predicted, typically
  double late = 0.02;        // how likely a lane wakes late
  Mutation mutation = Mutation::kNone;
};

class VirtualExecutor final : public pipeline::Executor {
 public:
  // `world` and `watch` are borrowed.
  VirtualExecutor(World& world, Watch& watch, const LanePace& pace,
                  const pipeline::ExecutorOptions& options);

  Result<pipeline::Ticket> submit(const schedule::Context& context,
                                  const schedule::Builder& builder, uint64_t user) override;
  Status wait(pipeline::Ticket ticket, std::optional<schedule::Task>* failed_task) override;
  bool ended(pipeline::Ticket ticket) const override { return graph_.ended(ticket); }
  void cancel(pipeline::Ticket ticket) override;
  Status signal(const schedule::Signal& signal, const Error* error) override;
  Status clear_events() override;

 private:
  using Time = base::Clock::time_point;
  struct Running {
    schedule::TaskRef task;
    Time started{}, end{};
    uint64_t token = 0;
    std::optional<Result<pipeline::TaskResult>> done;  // of a compute lane's task: its work is
    std::vector<const std::byte*> places;
  };
  struct Lane {
    bool present = false, async = false;
    size_t capacity = 1;
    std::vector<Running> running;
    std::optional<schedule::Task> blocked;  // what found no room
    bool retry = false;                     // it was told that there may be some
    bool look = false;                      // something of it may have ended
    Time asleep_until{};
  };
  enum class Act : uint8_t { kStart, kEnd, kPoll };
  struct Choice {
    schedule::Lane lane{};
    Act act{};
  };

  Lane& lane(schedule::Lane which) { return lanes_[static_cast<size_t>(which)]; }
  bool act(bool host);
  void consider(schedule::Lane which, bool host, std::vector<Choice>& choices);
  void start(schedule::Lane which);
  void start_async(schedule::Lane which, schedule::TaskRef ref);
  void start_compute(schedule::Lane which, schedule::TaskRef ref);
  void end_compute(schedule::Lane which);
  void do_work(schedule::Lane which, Running& running);
  void poll(schedule::Lane which);
  void end_async(schedule::Lane which, uint64_t token, const Status& status);
  int outlived(schedule::Lane which) const {
    return options_.async_runners[static_cast<size_t>(which)]->outlived();
  }
  void tell(const char* what, schedule::Lane which, const schedule::Task& task);
  void woken();
  void wake_blocked();
  void go_to(Time then);
  void rest();
  void pump(int64_t ns);
  Status wait_longer(pipeline::Ticket ticket, Time since);
  pipeline::TaskContext context_of(schedule::TaskRef ref) const;

  World& world_;
  Watch& watch_;
  const LanePace pace_;
  const pipeline::ExecutorOptions options_;
  schedule::RollingGraph graph_;
  std::array<Lane, schedule::kLanes> lanes_;
  uint32_t present_ = 0;
  uint64_t token_ = 0;
  std::vector<Choice> choices_;
};

}  // namespace sluice::sim
