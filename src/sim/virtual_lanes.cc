// How the tasks of virtual lanes begin and end.
#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"
#include "sim/virtual_executor.h"

namespace sluice::sim {

using pipeline::AsyncTaskRunner;
using schedule::TaskRef;

namespace {

constexpr int64_t kPollMs = 200;
constexpr size_t kEndsAtOnce = 16;

}  // namespace

void VirtualExecutor::start(schedule::Lane which) {
  Lane& l = lane(which);
  if (world_.random.chance(pace_.late)) {
    l.asleep_until =
        world_.clock.now() + std::chrono::nanoseconds(world_.random.delay_ns(pace_.task_ns));
    world_.clock.set_alarm(l.asleep_until);
    return;
  }
  TaskRef ref;
  l.blocked.reset();
  l.retry = false;
  SLUICE_CHECK(graph_.take(which, ref), "a lane that starts has a ready task");
  ++world_.counts[Happening::kTask];
  l.async ? start_async(which, ref) : start_compute(which, ref);
}

void VirtualExecutor::start_async(schedule::Lane which, TaskRef ref) {
  Lane& l = lane(which);
  const schedule::Task task = graph_.task(ref);
  const uint64_t token = ++token_;
  l.running.push_back({.task = ref, .started = world_.clock.now(), .token = token});
  const auto result =
      options_.async_runners[static_cast<size_t>(which)]->start(task, context_of(ref), token);
  l.look = true;
  if (result.ok() && *result == AsyncTaskRunner::Start::kNoRoom) {
    l.running.pop_back();
    ++world_.counts[Happening::kBlockedLane];
    tell("finds no room for", which, task);
    if (graph_.give_back(ref)) l.blocked = task;
    woken();
    return;
  }
  tell("starts", which, task);
  // Of a row of the embedding the program itself would notice, and end.
  const bool early = pace_.mutation == Mutation::kReadsEndEarly && which == schedule::Lane::kDisk &&
                     task.transfer()->payload == schedule::Payload::kWeights;
  if (!result.ok()) {
    end_async(which, token, result.error());
  } else if (*result == AsyncTaskRunner::Start::kDone || early) {
    end_async(which, token, {});
  }
}

void VirtualExecutor::start_compute(schedule::Lane which, TaskRef ref) {
  Lane& l = lane(which);
  const schedule::Task& task = graph_.task(ref);
  tell("starts", which, task);
  Running& running = l.running.emplace_back();
  running.task = ref;
  running.started = world_.clock.now();
  const int64_t ns =
      task.predicted_ns > 0 ? task.predicted_ns : world_.random.delay_ns(pace_.task_ns);
  running.end = running.started + std::chrono::nanoseconds(ns);
  running.places = watch_.need(task, context_of(ref).pages);
  if (world_.random.chance(0.5)) {
    do_work(which, running);
  } else if (pace_.mutation == Mutation::kReleasesEarly) {
    watch_.release(context_of(ref));
    wake_blocked();
  }
  world_.clock.set_alarm(running.end);
}

void VirtualExecutor::do_work(schedule::Lane which, Running& running) {
  if (!world_.sound()) {
    world_.die("stopped: broken");
    return;
  }
  world_.clock.begin_task(running.started);
  running.done = options_.runners[static_cast<size_t>(which)]->run(graph_.task(running.task),
                                                                   context_of(running.task));
  running.end = std::max(running.end, world_.clock.end_task());
}

void VirtualExecutor::end_compute(schedule::Lane which) {
  Lane& l = lane(which);
  Running& running = l.running.front();
  const TaskRef ref = running.task;
  if (!running.done) {
    watch_.stay(graph_.task(ref), context_of(ref).pages, running.places);
    if (!world_.sound()) return world_.die("stopped: broken");
    if (pace_.mutation == Mutation::kReleasesEarly) watch_.claim(context_of(ref));
    do_work(which, running);
    if (world_.dead()) return;
    if (running.end > world_.clock.now()) {
      world_.clock.set_alarm(running.end);
      return;
    }
  }
  const Running ended = std::move(l.running.front());
  l.running.clear();
  const schedule::Task task = graph_.task(ref);
  tell("ends", which, task);
  if (ended.done->ok()) {
    graph_.complete(ref, (*ended.done)->routing);
  } else {
    graph_.fail(ref, ended.done->error());
  }
  if (task.pages.count > 0 || !ended.done->ok()) wake_blocked();
  woken();
}

void VirtualExecutor::poll(schedule::Lane which) {
  Lane& l = lane(which);
  std::array<AsyncTaskRunner::Ended, kEndsAtOnce> ended;
  const int before = outlived(which);
  const size_t count = options_.async_runners[static_cast<size_t>(which)]->poll(ended, kPollMs);
  if (count == 0) {
    l.look = false;
    if (outlived(which) < before) l.retry = true;
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    if (pace_.mutation == Mutation::kLosesAnEnd && world_.random.chance(0.01)) continue;
    end_async(which, ended[i].token, ended[i].status);
  }
  // Its thread tries again whatever it has ready.
  l.retry = true;
}

void VirtualExecutor::end_async(schedule::Lane which, uint64_t token, const Status& status) {
  Lane& l = lane(which);
  const auto found =
      std::ranges::find_if(l.running, [&](const Running& r) { return r.token == token; });
  if (found == l.running.end() && pace_.mutation == Mutation::kReadsEndEarly) return;
  SLUICE_CHECK(found != l.running.end(), "a runner ends what it was given, once");
  const TaskRef ref = found->task;
  l.running.erase(found);
  const schedule::Task task = graph_.task(ref);
  tell(status.ok() ? "ends" : "fails at", which, task);
  if (status.ok()) {
    graph_.complete(ref, {});
  } else {
    graph_.fail(ref, status.error());
  }
  wake_blocked();
  woken();
}

void VirtualExecutor::tell(const char* what, schedule::Lane which, const schedule::Task& task) {
  world_.event(std::string(name(which)) + " " + what + " " + label(task));
}

}  // namespace sluice::sim
