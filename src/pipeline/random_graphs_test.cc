// Random graphs over all lanes, with expansions, events between iterations, and failures: each task
// runs once and after all that it depends on, or something that it depends on has failed.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <random>

#include "pipeline/executor.h"
#include "pipeline/test_runners.h"

namespace sluice::pipeline {
namespace {

using schedule::Dependency;
using schedule::Event;
using schedule::Subgraph;

constexpr int kTasks = 60;  // of an iteration, without expansions
constexpr int kGrowth = 6;  // tasks of an expansion
constexpr int kPoints = 6;  // expansion points at most
constexpr int kIds = kTasks + kPoints * kGrowth;
constexpr int64_t kIterations = 40;

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15u ^ (b + 0x1234567) * 0xbf58476d1ce4e5b9u;
  x ^= x >> 31;
  x *= 0x94d049bb133111ebu;
  return x ^ x >> 29;
}

// A task's number in its iteration is its layer.
class RandomBuilder final : public schedule::Builder {
 public:
  RandomBuilder(uint64_t seed, uint32_t lanes) : seed_(seed), lanes_(lanes) {}
  const char* name() const override { return "random"; }

  void iteration(const schedule::Context& c, Subgraph& out) const override {
    std::mt19937_64 random(mix(seed_, static_cast<uint64_t>(c.iteration)));
    for (int16_t i = 0; i < kTasks; ++i) {
      add_task(out, lane(random), i);
      out.tasks.back().rank = static_cast<int64_t>(random() % 5);
      for (uint64_t n = i == 0 ? 0 : random() % 3; n > 0; --n) {
        const auto on = static_cast<schedule::TaskIndex>(random() % static_cast<uint64_t>(i));
        const bool end = out.tasks[on].expansion != schedule::kNone && random() % 2 == 0;
        out.after(end ? Dependency::expansion(on) : Dependency::task(on));
      }
      // Every iteration's tasks 10, 20, ... tell those of the next.
      if (i % 10 == 0 && c.iteration + 1 < kIterations) out.signal({event(c.iteration, i), 1});
      if (i % 10 == 5 && c.iteration > 0) out.wait(event(c.iteration - 1, i - 5));
      if (random() % 8 == 0 && out.expansions.size() < kPoints) {
        out.expand({.tasks = kGrowth, .dependencies = kGrowth});
      }
    }
  }

  void expand(const schedule::Context& c, const schedule::ExpansionPoint& point,
              const schedule::RoutingOutcome&, Subgraph& out) const override {
    std::mt19937_64 random(mix(seed_ + point.task, static_cast<uint64_t>(c.iteration)));
    const auto count = static_cast<int16_t>(random() % (kGrowth + 1));
    for (int16_t i = 0; i < count; ++i) {
      // Which expansion point this is, in order of tasks, tells the numbers of its tasks.
      add_task(out, lane(random), static_cast<int16_t>(first_id(c, point) + i));
      if (i > 0 && random() % 2 == 0) {
        out.after(Dependency::task(
            static_cast<schedule::TaskIndex>(random() % static_cast<uint64_t>(i))));
      }
    }
  }

  schedule::BuilderBounds bounds(const schedule::Context&) const override {
    return {{.tasks = kTasks,
             .dependencies = 2 * kTasks,
             .waits = 6,
             .signals = 6,
             .expansions = kPoints},
            {.tasks = kGrowth, .dependencies = kGrowth}};
  }

  int first_id(const schedule::Context& c, const schedule::ExpansionPoint& point) const {
    Subgraph g;
    iteration(c, g);
    return kTasks + kGrowth * static_cast<int>(g.tasks[point.task].expansion);
  }

  static Event event(int64_t iteration, int id) {
    return {
        .kind = Event::Kind::kTaskDone, .index = static_cast<uint32_t>(id), .iteration = iteration};
  }

 private:
  Lane lane(std::mt19937_64& random) const {
    while (true) {
      const auto lane = static_cast<Lane>(random() % schedule::kLanes);
      if ((lanes_ >> static_cast<unsigned>(lane) & 1) != 0) return lane;
    }
  }
  uint64_t seed_;
  uint32_t lanes_;
};

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
  MadeRunner runner([&](const schedule::Task& task, const TaskContext& c) -> Result<TaskResult> {
    const int id = task.layer;
    const auto number = static_cast<int64_t>(c.user);
    ++runs[c.user][id];
    for (int on : truth[c.user][id].runs_after) EXPECT_EQ(done[c.user][on], 1);
    if (const int from = truth[c.user][id].event_from; from >= 0) {
      EXPECT_EQ(done[c.user - 1][from], 1);
    }
    if (mix(p.seed, c.user * kIds + static_cast<uint64_t>(id)) % 32 == 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    if (fails(p.seed, number, id, p.one_in)) return Error{ErrorCode::kFault, "as drawn"};
    ++done[c.user][id];
    return TaskResult{};
  });
  ExecutorOptions options = with_room(p.in_flight);
  options.limits.max_iteration = builder.bounds({}).total();
  options.limits.max_expansion = builder.bounds({}).expansion;
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
  for (int64_t i = 0; i < kIterations + p.in_flight; ++i) {
    if (i >= p.in_flight) {
      const auto ended = static_cast<size_t>(i - p.in_flight);
      bool whole = true;
      for (const Truth& t : truth[ended]) whole &= !t.exists || t.succeeds;
      EXPECT_EQ(executor->wait(tickets[ended]).ok(), whole) << "iteration " << ended;
    }
    if (i < kIterations) {
      auto ticket = executor->submit({.iteration = i}, builder, static_cast<uint64_t>(i));
      ASSERT_TRUE(ticket.ok()) << ticket.error().message;
      tickets.push_back(*ticket);
    }
  }
  for (int64_t i = 0; i < kIterations; ++i) {
    for (int id = 0; id < kIds; ++id) {
      EXPECT_EQ(runs[i][id], truth[i][id].runs ? 1 : 0) << "iteration " << i << " task " << id;
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
