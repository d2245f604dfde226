// The invariants that are checked while a simulated run goes on. To add one: a function here that
// calls World::violated(), and a call of it where its moment is (docs/simulation.md).
#pragma once

#include <span>
#include <vector>

#include "engine/running.h"
#include "sim/world.h"

namespace sluice::sim {

class Watch {
 public:
  explicit Watch(World& world) : world_(world) {}

  // From the load of an engine until its end.
  void begin(const engine::Running& engine) { engine_ = &engine; }
  void end() { engine_ = nullptr; }

  // A task begins its work: every page that it needs is there. Where they lie, for stay().
  std::vector<const std::byte*> need(const schedule::Task& task,
                                     std::span<const schedule::PageRange> pages);
  // They lie where they lay, and are there still.
  void stay(const schedule::Task& task, std::span<const schedule::PageRange> pages,
            const std::vector<const std::byte*>& before);

  // For tests that break the order of claims: gives pages back, and takes them again.
  void release(const pipeline::TaskContext& task);
  void claim(const pipeline::TaskContext& task);

  // A transfer of a page that found no room, and that nobody has told to try again, would find
  // none now.
  void still_blocked(const schedule::Task& task);

  // Nothing can be done at this moment: the books of pages agree.
  void at_rest();
  // Between two iterations: memory within the plan, the books of the KV cache agree.
  void between_iterations(const engine::EngineStats& stats);
  // The engine is idle: nothing is held.
  void when_idle();

 private:
  const memory::WeightPages* pages() const;
  std::vector<const std::byte*> places(std::span<const schedule::PageRange> ranges) const;

  World& world_;
  const engine::Running* engine_ = nullptr;
};

}  // namespace sluice::sim
