// Random graphs over all lanes, with expansions, events between iterations, and failures: each task
// runs once and after all that it depends on, or its iteration fails, by a task of its own or by an
// event of one that failed; every iteration ends, and its end is told.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>

#include "pipeline/executor.h"
#include "pipeline/test_random_builder.h"
#include "pipeline/test_runners.h"

namespace sluice::pipeline {
namespace {

// What must become of each task, from the graphs alone.
struct Truth {
  std::vector<int> runs_after;  // ids in the same iteration that must have succeeded
  int event_from = -1;          // id in the iteration before
  bool exists = false, runs = false, succeeds = false;
};
using Iteration = std::array<Truth, kIds>;

bool fails(uint64_t seed, int64_t iteration, int id, uint64_t one_in) {
  return one_in > 0 &&
         mix(mix(seed, static_cast<uint64_t>(iteration)), static_cast<uint64_t>(id)) % one_in == 0;
}

Iteration truth_of(const RandomBuilder& builder, uint64_t seed, int64_t number,
                   const Iteration* before, uint64_t one_in) {
  Iteration truth;
  Subgraph g, grown;
  const schedule::Context context{.iteration = number};
  builder.iteration(context, g);
  const auto decide = [&](int id, bool runs) {
    truth[id].exists = true;
    truth[id].runs = runs;
    truth[id].succeeds = runs && !fails(seed, number, id, one_in);
  };
  std::array<std::vector<int>, kTasks> grew;
  for (int i = 0; i < kTasks; ++i) {
    const schedule::Task& task = g.tasks[i];
    bool runs = true;
    const auto need = [&](int id) {
      truth[i].runs_after.push_back(id);
      runs &= truth[id].succeeds;
    };
    for (Dependency d : g.dependencies_of(task)) {
      const auto on = static_cast<int>(d.index());
      need(on);
      if (!d.after_expansion()) continue;
      for (int id : grew[on]) need(id);
    }
    if (task.waits.count > 0) {
      truth[i].event_from = i - 5;
      runs &= (*before)[i - 5].succeeds;
    }
    decide(i, runs);
    if (task.expansion == schedule::kNone || !truth[i].succeeds) continue;
    grown.clear();
    builder.expand(context, g.expansions[task.expansion], {}, grown);
    const int first = builder.first_id(context, g.expansions[task.expansion]);
    for (int k = 0; k < static_cast<int>(grown.tasks.size()); ++k) {
      bool inner = true;
      truth[first + k].runs_after.push_back(i);
      for (Dependency d : grown.dependencies_of(grown.tasks[k])) {
        truth[first + k].runs_after.push_back(first + static_cast<int>(d.index()));
        inner &= truth[first + static_cast<int>(d.index())].succeeds;
      }
      decide(first + k, inner);
      grew[i].push_back(first + k);
    }
  }
  return truth;
}

// A lane of several tasks at once, that end in an order drawn from the seed. Where none fails, a
// task may find no room as long as another is under way.
class Shuffled final : public AsyncTaskRunner {
 public:
  Shuffled(TaskRunner& runner, uint64_t seed, bool may_refuse)
      : runner_(runner), seed_(seed), may_refuse_(may_refuse) {}

  int capacity() const override { return 4; }
  Result<Start> start(const schedule::Task& task, const TaskContext& context,
                      uint64_t token) override {
    const uint64_t draw = mix(seed_, ++draws_);
    if (may_refuse_ && !under_way_.empty() && draw % 3 == 0) return Start::kNoRoom;
    const Result<TaskResult> result = runner_.run(task, context);
    if (draw % 5 == 1) {
      if (!result.ok()) return result.error();
      return Start::kDone;
    }
    under_way_.push_back({token, result.ok() ? Status() : Status(result.error())});
    return Start::kStarted;
  }
  size_t poll(std::span<Ended> ended, int64_t) override {
    if (under_way_.empty()) {
      std::this_thread::yield();
      return 0;
    }
    const size_t i = mix(seed_, ++draws_) % under_way_.size();
    ended[0] = under_way_[i];
    under_way_.erase(under_way_.begin() + static_cast<ptrdiff_t>(i));
    return 1;
  }
  void wake() override {}

 private:
  TaskRunner& runner_;
  uint64_t seed_;
  bool may_refuse_;
  uint64_t draws_ = 0;
  std::vector<Ended> under_way_;
};

struct Case {
  uint64_t seed;
  uint32_t lanes;
  uint64_t one_in;  // tasks fail; 0: none
  int in_flight;
  bool async = false;  // lanes other than the host's are asynchronous
};

class RandomGraphs : public ::testing::TestWithParam<Case> {};

TEST_P(RandomGraphs, RunEveryTaskOnceAfterWhatItNeeds) {
  const Case& p = GetParam();
  const RandomBuilder builder(p.seed, p.lanes);
  std::vector<Iteration> truth;
  for (int64_t i = 0; i < kIterations; ++i) {
    truth.push_back(truth_of(builder, p.seed, i, i == 0 ? nullptr : &truth.back(), p.one_in));
  }
  std::vector<std::array<std::atomic<int>, kIds>> runs(kIterations), done(kIterations);
  std::array<std::atomic<int>, kIterations> under_way{}, failed_ends{};
  MadeRunner runner([&](const schedule::Task& task, const TaskContext& c) -> Result<TaskResult> {
    const int id = task.layer;
    const auto number = static_cast<int64_t>(c.user);
    ++runs[c.user][id];
    ++under_way[c.user];
    for (int on : truth[c.user][id].runs_after) EXPECT_EQ(done[c.user][on], 1);
    if (const int from = truth[c.user][id].event_from; from >= 0) {
      EXPECT_EQ(done[c.user - 1][from], 1);
    }
    if (mix(p.seed, c.user * kIds + static_cast<uint64_t>(id)) % 32 == 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    --under_way[c.user];
    if (fails(p.seed, number, id, p.one_in)) return Error{ErrorCode::kFault, "as drawn"};
    ++done[c.user][id];
    return TaskResult{};
  });
  ExecutorOptions options = with_room(p.in_flight);
  options.limits.max_iteration = builder.bounds({}).total();
  options.limits.max_expansion = builder.bounds({}).expansion;
  options.on_failed_end = [&](uint64_t user) {
    EXPECT_EQ(under_way[user], 0) << "iteration " << user;
    ++failed_ends[user];
  };
  std::vector<std::unique_ptr<Shuffled>> shuffled;  // outlive the executor
  for (unsigned i = 0; i < schedule::kLanes; ++i) {
    if ((p.lanes >> i & 1) == 0) continue;
    if (p.async && static_cast<Lane>(i) != Lane::kHostCompute) {
      shuffled.push_back(std::make_unique<Shuffled>(runner, p.seed + i, p.one_in == 0));
      options.async_runners[i] = shuffled.back().get();
    } else {
      options.runners[i] = &runner;
    }
  }
  auto executor = *Executor::create(options);
  std::vector<Ticket> tickets;
  std::array<bool, kIterations> ok{};
  for (int64_t i = 0; i < kIterations + p.in_flight; ++i) {
    if (i >= p.in_flight) {
      const auto ended = static_cast<size_t>(i - p.in_flight);
      bool whole = true;
      for (const Truth& t : truth[ended]) whole &= !t.exists || t.succeeds;
      std::optional<schedule::Task> failed;
      ok[ended] = executor->wait(tickets[ended], &failed).ok();
      // One that failed may take those after it along, over events.
      if (ended == 0 || ok[ended - 1]) {
        EXPECT_EQ(ok[ended], whole) << "iteration " << ended;
      }
      EXPECT_TRUE(whole || !ok[ended]) << "iteration " << ended;
      EXPECT_EQ(failed_ends[ended], ok[ended] ? 0 : 1) << "iteration " << ended;
      if (failed) {
        EXPECT_TRUE(fails(p.seed, static_cast<int64_t>(ended), failed->layer, p.one_in));
      } else {
        EXPECT_TRUE(ok[ended] || !ok[ended - 1]) << "iteration " << ended;
      }
    }
    if (i < kIterations) {
      auto ticket = executor->submit({.iteration = i}, builder, static_cast<uint64_t>(i));
      ASSERT_TRUE(ticket.ok()) << ticket.error().message;
      tickets.push_back(*ticket);
    }
  }
  for (int64_t i = 0; i < kIterations; ++i) {
    for (int id = 0; id < kIds; ++id) {
      const int most = truth[i][id].runs ? 1 : 0;
      EXPECT_LE(runs[i][id], most) << "iteration " << i << " task " << id;
      if (ok[i]) {
        EXPECT_EQ(runs[i][id], most) << "iteration " << i << " task " << id;
      }
    }
  }
}

constexpr uint32_t kAll = (1u << schedule::kLanes) - 1;
constexpr uint32_t kHostOnly = 1u << static_cast<unsigned>(Lane::kHostCompute);

INSTANTIATE_TEST_SUITE_P(Executor, RandomGraphs,
                         ::testing::Values(Case{1, kAll, 0, 1}, Case{2, kAll, 0, 5},
                                           Case{3, kAll, 50, 3}, Case{4, kAll, 8, 4},
                                           Case{5, kHostOnly, 30, 4}, Case{6, kHostOnly, 0, 2},
                                           Case{7, kAll & ~kHostOnly, 30, 4},
                                           Case{8, 0b010010, 100, 3}, Case{9, kAll, 200, 6},
                                           Case{10, kAll, 3, 2}, Case{11, kAll, 0, 1, true},
                                           Case{12, kAll, 0, 5, true}, Case{13, kAll, 30, 4, true},
                                           Case{14, kAll & ~kHostOnly, 0, 3, true},
                                           Case{15, kAll & ~kHostOnly, 10, 4, true}));

}  // namespace
}  // namespace sluice::pipeline
