#include "pipeline/thread_executor.h"

#include "base/check.h"
#include "pipeline/lanes.h"

namespace sluice::pipeline {

using schedule::TaskRef;

ThreadExecutor::ThreadExecutor(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Executor>> Executor::create(const ExecutorOptions& options) {
  return ThreadExecutor::create(options);
}

Result<std::unique_ptr<Executor>> ThreadExecutor::create(const ExecutorOptions& options) {
  const schedule::GraphLimits& limits = options.limits;
  if (limits.max_iterations_in_flight < 1 || limits.max_iteration.tasks < 1 ||
      limits.max_events < 0 || options.lane_timeout_ms < 1 || options.host_spin_us < 0) {
    return Error{ErrorCode::kInvalid,
                 "an executor needs max_iterations_in_flight, max_iteration.tasks and "
                 "lane_timeout_ms of at least 1, max_events and host_spin_us of at least 0"};
  }
  auto state = std::make_shared<State>(options);
  state->graph.on_failed_end(options.on_failed_end);
  for (size_t i = 0; i < schedule::kLanes; ++i) {
    if (options.runners[i] != nullptr || options.async_runners[i] != nullptr) {
      state->lanes |= 1u << i;
    }
    if (options.async_runners[i] != nullptr &&
        (options.runners[i] != nullptr || options.async_runners[i]->capacity() < 1 ||
         static_cast<Lane>(i) == Lane::kHostCompute)) {
      return Error{ErrorCode::kInvalid,
                   std::string("the lane ") + name(static_cast<Lane>(i)) +
                       " has two runners, no capacity, or cannot be asynchronous"};
    }
  }
  if (state->lanes == 0) return Error{ErrorCode::kInvalid, "an executor needs at least one lane"};
  const uint32_t host = 1u << static_cast<unsigned>(Lane::kHostCompute);
  state->threaded = (state->lanes & ~host) != 0;
  std::unique_ptr<Executor> executor(new ThreadExecutor(state));
  for (size_t i = 0; i < schedule::kLanes; ++i) {
    const auto lane = static_cast<Lane>(i);
    const bool async = options.async_runners[i] != nullptr;
    if ((options.runners[i] == nullptr && !async) || lane == Lane::kHostCompute) continue;
    state->lane[i].running.reserve(
        static_cast<size_t>(async ? options.async_runners[i]->capacity() : 1));
    state->lane[i].thread = std::thread([state, lane, async] {
      async ? State::async_lane_loop(state, lane) : State::lane_loop(state, lane);
    });
  }
  return executor;
}

ThreadExecutor::~ThreadExecutor() { end_lanes(state_->timeout); }

void ThreadExecutor::close() { end_lanes(std::nullopt); }

void ThreadExecutor::end_lanes(std::optional<std::chrono::milliseconds> patience) {
  State& s = *state_;
  Lock lock(s.mutex);
  s.stop = true;
  for (size_t i = 0; i < s.lane.size(); ++i) {
    s.lane[i].wake.notify_all();
    if (s.lane[i].polls) s.options.async_runners[i]->wake();
  }
  const auto all_left = [&] {
    for (const State::LaneThread& lane : s.lane) {
      if (lane.thread.joinable() && !lane.left) return false;
    }
    return true;
  };
  if (patience) {
    s.host_wake.wait_for(lock, *patience, all_left);
  } else {
    s.host_wake.wait(lock, all_left);
  }
  for (State::LaneThread& lane : s.lane) {
    if (!lane.thread.joinable()) continue;
    if (lane.left) {
      // It may still be on its way out of the lock.
      std::thread leaving = std::move(lane.thread);
      lock.unlock();
      leaving.join();
      lock.lock();
    } else {
      lane.thread.detach();  // hung: it keeps the state alive, and leaves when its task returns
    }
  }
}

Result<Ticket> ThreadExecutor::submit(const schedule::Context& context,
                                      const schedule::Builder& builder, uint64_t user) {
  Lock lock(state_->mutex);
  Result<Ticket> ticket = state_->graph.submit(context, builder, user, state_->lanes);
  state_->wake();
  return ticket;
}

Status ThreadExecutor::wait(Ticket ticket, std::optional<schedule::Task>* failed_task) {
  State& s = *state_;
  Lock lock(s.mutex);
  SLUICE_CHECK(!s.driven, "one thread at a time waits");
  s.driven = true;
  Status hung;
  while (hung.ok() && !s.graph.ended(ticket)) {
    TaskRef task;
    if (s.graph.take(Lane::kHostCompute, task)) {
      s.run(lock, Lane::kHostCompute, task);
      if (s.threaded) s.wake();
    } else {
      hung = s.wait_for_progress(lock, ticket);
    }
  }
  if (!hung.ok()) {
    s.graph.cancel(ticket, hung.error());
    s.wake();
    s.wake_blocked();
  }
  s.driven = false;
  if (failed_task != nullptr) *failed_task = s.graph.failed_task(ticket);
  const Status status = s.graph.release(ticket);
  return hung.ok() ? status : hung;
}

bool ThreadExecutor::ended(Ticket ticket) const {
  Lock lock(state_->mutex);
  return state_->graph.ended(ticket);
}

void ThreadExecutor::cancel(Ticket ticket) {
  Lock lock(state_->mutex);
  state_->graph.cancel(ticket, {ErrorCode::kCancelled, "the iteration was cancelled"});
  state_->wake();
  state_->wake_blocked();
}

Status ThreadExecutor::signal(const schedule::Signal& signal, const Error* error) {
  Lock lock(state_->mutex);
  const Status status = state_->graph.signal(signal, error);
  state_->wake();
  return status;
}

Status ThreadExecutor::clear_events() {
  State& s = *state_;
  Lock lock(s.mutex);
  const auto quiet = [&] { return s.graph.in_flight() == 0; };
  s.host_sleeps = true;
  const bool ended = s.host_wake.wait_for(lock, s.timeout, quiet);
  s.host_sleeps = false;
  if (!ended) return s.still_running();
  s.graph.clear_events();
  return {};
}

}  // namespace sluice::pipeline
