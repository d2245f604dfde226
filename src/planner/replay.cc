#include "planner/replay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <memory>
#include <numeric>

#include "base/check.h"
#include "planner/replay_experts.h"
#include "planner/replay_kv.h"
#include "planner/replay_requests.h"
#include "schedule/rolling_graph.h"

namespace sluice::planner {

using schedule::Lane;
using schedule::Task;
using schedule::TaskRef;

namespace {

constexpr size_t kLaneCount = static_cast<size_t>(schedule::kLanes);
constexpr uint32_t kAllLanes = (1u << kLaneCount) - 1;

// One micro-batch's iteration while it is in flight.
struct Flight {
  scheduler::MicroBatch batch;
  std::vector<schedule::KvPart> kv_parts;
  schedule::Ticket ticket;
  bool out = false;
};

// What a lane is doing.
struct Running {
  bool busy = false;
  bool blocked = false;  // its next task found no room; something must end first
  TaskRef task;
  double end = 0;
};

// Stands for all rows of the embedding that an iteration reads: as one transfer, and as if none had
// been there.
constexpr schedule::PageId kSomeRow = 0;

schedule::GraphLimits graph_limits(const schedule::Builder& builder,
                                   const schedule::Context& largest, int64_t flights) {
  const schedule::BuilderBounds bounds = builder.bounds(largest);
  return {.max_iterations_in_flight = static_cast<int32_t>(flights),
          .max_iteration = bounds.total(),
          .max_expansion = bounds.expansion,
          .max_events = flights * (bounds.total().waits + bounds.total().signals) + 1};
}

class Replay {
 public:
  Replay(const Subject& subject, const plan::Plan& plan, const Workload& workload,
         const ReplayLimits& limits, const schedule::Builder& builder,
         std::unique_ptr<ReplayExperts> experts)
      : subject_(subject),
        plan_(plan),
        limits_(limits),
        builder_(builder),
        experts_(std::move(experts)),
        requests_(plan, workload),
        kv_(plan),
        costs_(subject.machine.costs),
        graph_(graph_limits(builder,
                            context({.rows = plan.max_num_tokens,
                                     .sequences = plan.policy.micro_batch,
                                     .logit_rows = plan.max_num_tokens,
                                     .kv = schedule::most_kv_moves(plan)},
                                    0, 0, true),
                            plan.micro_batches())),
        flights_(static_cast<size_t>(plan.micro_batches())) {
    costs_.weights = subject.weights.bytes;
    costs_.weights.kv = plan.kv_dtype;
    for (Flight& flight : flights_) flight.batch = requests_.scheduler().make_micro_batch();
  }

  Replayed run() {
    submit();
    while (result_.tasks < limits_.tasks) {
      start_ready();
      const auto next =
          std::min_element(lanes_.begin(), lanes_.end(), [](const Running& a, const Running& b) {
            return (a.busy ? a.end : HUGE_VAL) < (b.busy ? b.end : HUGE_VAL);
          });
      if (!next->busy) {
        SLUICE_CHECK(requests_.done(), "a replay goes on until its work is done");
        break;
      }
      now_ = next->end;
      finish(static_cast<size_t>(next - lanes_.begin()));
      mark_half();
    }
    conclude();
    return std::move(result_);
  }

 private:
  schedule::Context context(const schedule::BatchShape& shape, int micro_batch, int64_t iteration,
                            bool cold) const {
    return {.model = &subject_.model,
            .plan = &plan_,
            .batch = shape,
            .micro_batch = micro_batch,
            .iteration = iteration,
            .cold = cold,
            .residency = experts_ ? experts_->residency() : schedule::Residency{},
            .embedding = {.rows = {&kSomeRow, plan_.embedding_rows > 0 ? 1u : 0u},
                          .row_bytes = shape.rows * subject_.weights.fit.embedding_read_bytes},
            .costs = &costs_};
  }

  // Every micro-batch that has work goes out.
  void submit() {
    if (experts_ && graph_.in_flight() == 0) experts_->settle(plan_.max_num_tokens);
    for (size_t i = 0; i < flights_.size(); ++i) {
      Flight& flight = flights_[i];
      if (flight.out) continue;
      if (!requests_.scheduler().form(flight.batch)) return;
      schedule::BatchShape shape = schedule::shape_of(flight.batch.view());
      shape.kv = kv_.moves_of(flight.batch.view(), flight.kv_parts);
      schedule::Context built = context(shape, flight.batch.index, flight.batch.iteration, false);
      built.kv_parts = flight.kv_parts;
      const auto ticket = graph_.submit(built, builder_, i, kAllLanes);
      SLUICE_CHECK(ticket.ok(), "an iteration within its builder's bounds is admitted");
      flight.ticket = *ticket;
      flight.out = true;
      ++result_.iterations;
    }
  }

  void start_ready() {
    bool again = true;
    while (again) {
      again = false;
      for (size_t lane = 0; lane < kLaneCount; ++lane) {
        Running& running = lanes_[lane];
        if (running.busy || running.blocked) continue;
        TaskRef ref;
        if (!graph_.take(static_cast<Lane>(lane), ref)) continue;
        again = true;
        start(lane, ref);
      }
    }
  }

  void start(size_t lane, TaskRef ref) {
    const Task& task = graph_.task(ref);
    Running& running = lanes_[lane];
    double seconds = 1e-9 * static_cast<double>(task.predicted_ns);
    if (const schedule::Transfer* transfer = task.transfer();
        transfer != nullptr && transfer->payload == schedule::Payload::kWeights && experts_) {
      switch (experts_->claim(*transfer, static_cast<size_t>(graph_.user(ref)))) {
        case ReplayExperts::Claim::kNoRoom:
          running.blocked = true;
          SLUICE_CHECK(graph_.give_back(ref), "no iteration of a replay fails");
          return;
        case ReplayExperts::Claim::kThere:
          seconds = 0;
          break;
        case ReplayExperts::Claim::kMoves:
          break;
      }
    }
    if (arrives(task) && !kv_.claim()) {
      running.blocked = true;
      SLUICE_CHECK(graph_.give_back(ref), "no iteration of a replay fails");
      return;
    }
    running.busy = true;
    running.task = ref;
    running.end = now_ + seconds;
    result_.busy[lane] += seconds;
    if (limits_.timeline_tasks > 0 && seconds > 0) record(task, lane, running.end);
  }

  // Keys and values: a window is taken before they come to where attention runs, and free once new
  // ones have gone home.
  bool moves_kv(const Task& task, bool there) const {
    const schedule::Transfer* transfer = task.transfer();
    if (transfer == nullptr || transfer->payload != schedule::Payload::kKv) return false;
    const bool on_device = plan_.policy.attention_on == plan::Place::kDevice;
    const schedule::Level near = on_device ? schedule::Level::kDevice : schedule::Level::kHost;
    return (transfer->to == near) == there;
  }
  bool arrives(const Task& task) const { return moves_kv(task, true); }
  bool leaves(const Task& task) const { return moves_kv(task, false); }

  void record(const Task& task, size_t lane, double end) {
    const schedule::Transfer* transfer = task.transfer();
    const char* what =
        transfer != nullptr ? schedule::name(transfer->payload) : models::name(task.stage()->kind);
    if (timeline_.size() >= limits_.timeline_tasks) timeline_.pop_front();
    timeline_.push_back({static_cast<Lane>(lane), what, task.layer, task.micro_batch, now_, end});
  }

  void finish(size_t lane) {
    Running& running = lanes_[lane];
    running.busy = false;
    ++result_.tasks;
    const TaskRef ref = running.task;
    const Task& task = graph_.task(ref);
    const auto user = static_cast<size_t>(graph_.user(ref));
    if (leaves(task)) kv_.release();
    if (experts_) {
      if (const schedule::Transfer* transfer = task.transfer())
        experts_->moved(*transfer);
      else
        for (const schedule::PageRange& range : graph_.graph(ref).pages_of(task))
          experts_->release(range, user);
    }
    schedule::RoutingOutcome routing;
    if (task.stage() != nullptr && task.stage()->kind == models::StageKind::kRoute)
      routing.expert_tokens = route(task.layer, flights_[user].batch.view().rows());
    graph_.complete(ref, routing);
    for (Running& other : lanes_) other.blocked = false;
    Flight& flight = flights_[user];
    if (!graph_.ended(flight.ticket)) return;
    SLUICE_CHECK(graph_.release(flight.ticket).ok(), "no iteration of a replay fails");
    result_.tokens += requests_.complete(flight.batch);
    flight.out = false;
    submit();
  }

  std::span<const int32_t> route(int layer, int64_t rows) {
    const int experts = subject_.model.layers[static_cast<size_t>(layer)].ffn.experts;
    if (experts == 0) return {};
    return sampler_.sample(routing_of(layer), rows, subject_.model.layers[layer].ffn.top_k);
  }
  const Routing& routing_of(int layer) const {
    const auto& layers = subject_.model.layers;
    for (const LayerKind& kind : subject_.layers.kinds) {
      if (layers[static_cast<size_t>(kind.layer)] == layers[static_cast<size_t>(layer)])
        return subject_.layers.routings[static_cast<size_t>(kind.routing)];
    }
    base::check_failed("known layer", "a layer that no kind stands for", __FILE__, __LINE__);
  }

  void mark_half() {
    if (half_time_ >= 0 || result_.tasks < limits_.tasks / 2) return;
    half_time_ = now_;
    half_busy_ = result_.busy;
  }

  void conclude() {
    result_.seconds = now_;
    result_.whole = requests_.done();
    const double from = half_time_ >= 0 && !result_.whole ? half_time_ : 0;
    double most = 0;
    for (size_t lane = 0; lane < kLaneCount; ++lane)
      most = std::max(most, result_.busy[lane] - (from > 0 ? half_busy_[lane] : 0));
    if (most > 0) result_.stretch = std::max(1.0, (now_ - from) / most);
    result_.timeline.assign(timeline_.begin(), timeline_.end());
  }

  const Subject& subject_;
  const plan::Plan& plan_;
  const ReplayLimits& limits_;
  const schedule::Builder& builder_;
  std::unique_ptr<ReplayExperts> experts_;
  ReplayRequests requests_;
  ReplayKv kv_;
  schedule::CostModel costs_;
  schedule::RollingGraph graph_;
  std::vector<Flight> flights_;
  std::array<Running, kLaneCount> lanes_{};
  RoutingSampler sampler_;
  double now_ = 0;
  double half_time_ = -1;
  LaneSeconds half_busy_{};
  std::deque<ReplayedTask> timeline_;
  Replayed result_;
};

}  // namespace

Result<Replayed> replay(const Subject& subject, const plan::Plan& plan, const Workload& workload,
                        const ReplayLimits& limits) {
  SLUICE_ASSIGN(const schedule::Builder* builder, schedule::find(plan.policy.schedule));
  std::unique_ptr<ReplayExperts> experts;
  if (plan.expert_slots > 0) {
    SLUICE_ASSIGN(experts, ReplayExperts::create(subject, plan, limits.pages));
  }
  return Replay(subject, plan, workload, limits, *builder, std::move(experts)).run();
}

}  // namespace sluice::planner
