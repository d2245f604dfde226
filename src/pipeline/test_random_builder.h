// A schedule drawn from a seed, over any lanes: expansions, and events between iterations.
#pragma once

#include <random>

#include "pipeline/test_runners.h"

namespace sluice::pipeline {

using schedule::Dependency;
using schedule::Event;
using schedule::Subgraph;

inline constexpr int kTasks = 60;  // of an iteration, without expansions
inline constexpr int kGrowth = 6;  // tasks of an expansion
inline constexpr int kPoints = 6;  // expansion points at most
inline constexpr int kIds = kTasks + kPoints * kGrowth;
inline constexpr int64_t kIterations = 40;

inline uint64_t mix(uint64_t a, uint64_t b) {
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

}  // namespace sluice::pipeline
