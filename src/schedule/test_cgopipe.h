// MoE-Lightning's Algorithm 1 as a builder, for tests of the graph and the executor: pre-attention
// on the device, attention on the host, weights streamed to the device by pages of one layer ahead,
// one page behind each hidden-state load. All times are given.
#pragma once

#include <cstdint>

#include "schedule/builder.h"

namespace sluice::schedule {

struct CgopipeTimes {
  int64_t pre_attn_ns = 0, offload_ns = 0, attend_ns = 0, load_ns = 0, page_ns = 0, stage_ns = 0,
          post_attn_ns = 0;
};

class TestCgopipe final : public Builder {
 public:
  TestCgopipe(int layers, int micro_batches, int64_t steps, const CgopipeTimes& times)
      : layers_(layers), micro_batches_(micro_batches), steps_(steps), times_(times) {}

  const char* name() const override { return "test_cgopipe"; }

  void iteration(const Context& c, Subgraph& out) const override {
    TaskIndex end = kNone;
    // The first layer's pages, that nobody loaded ahead.
    if (c.iteration == 0) add_page(c, 0, out);
    for (int16_t layer = 0; layer < layers_; ++layer) {
      const int64_t clock = c.iteration * layers_ + layer;
      const int64_t slot = clock * micro_batches_ + c.micro_batch;  // of the whole run
      add(c, Lane::kDeviceCompute, stage(models::StageKind::kQkv, layer), layer, 2 * (slot - 2) + 1,
          times_.pre_attn_ns, out);
      if (end != kNone) out.after(Dependency::expansion(end));
      const TaskIndex qkv = last(out);
      add(c, Lane::kDeviceToHost, move(Payload::kQkv, Level::kDevice, Level::kHost), layer, slot,
          times_.offload_ns, out);
      out.after(Dependency::task(qkv));
      const TaskIndex offload = last(out);
      add(c, Lane::kHostCompute, stage(models::StageKind::kAttend, layer), layer, 2 * slot,
          times_.attend_ns, out);
      out.after(Dependency::task(offload));
      const TaskIndex attend = last(out);
      add(c, Lane::kHostToDevice, move(Payload::kHidden, Level::kHost, Level::kDevice), layer,
          2 * slot, times_.load_ns, out);
      out.after(Dependency::task(attend));
      const TaskIndex load = last(out);
      if (clock + 1 < steps_ * layers_) add_page(c, clock + 1, out);
      add(c, Lane::kDeviceCompute, stage(models::StageKind::kRoute, layer), layer, 2 * slot, 0,
          out);
      out.after(Dependency::task(load));
      out.expand({.tasks = 1, .waits = micro_batches_, .signals = 1});
      end = last(out);
    }
  }

  // The experts' work waits for every page of its layer, and frees the layer's buffer.
  void expand(const Context& c, const ExpansionPoint& point, const RoutingOutcome&,
              Subgraph& out) const override {
    const int64_t clock = c.iteration * layers_ + point.layer;
    add(c, Lane::kDeviceCompute, stage(models::StageKind::kExpertGroup, point.layer), point.layer,
        2 * (clock * micro_batches_ + c.micro_batch), times_.post_attn_ns, out);
    for (int page = 0; page < micro_batches_; ++page) out.wait(resident(clock, page));
    if (clock + 2 < steps_ * layers_) {
      out.signal({free(clock, c.micro_batch), static_cast<uint32_t>(micro_batches_)});
    }
  }

  BuilderBounds bounds(const Context&) const override {
    const int pages = layers_ + 1;
    const Bounds iteration{.tasks = 5 * layers_ + 2 * pages,
                           .dependencies = 5 * layers_ + pages,
                           .waits = pages * micro_batches_,
                           .signals = pages,
                           .expansions = layers_,
                           .bytes = 1 << 30};
    return {iteration, {.tasks = 1, .waits = micro_batches_, .signals = 1}};
  }

 private:
  static TaskIndex last(const Subgraph& out) {
    return static_cast<TaskIndex>(out.tasks.size() - 1);
  }
  static models::Stage stage(models::StageKind kind, int16_t layer) {
    return {.kind = kind, .layer = layer};
  }
  static Transfer move(Payload payload, Level from, Level to) {
    return {.payload = payload, .from = from, .to = to, .bytes = 4096};
  }
  static Event resident(int64_t clock, int page) {
    return {.kind = Event::Kind::kPageResident,
            .index = static_cast<uint32_t>(page),
            .iteration = clock};
  }
  static Event free(int64_t clock, int micro_batch) {
    return {.kind = Event::Kind::kBufferFree,
            .micro_batch = static_cast<uint16_t>(micro_batch),
            .iteration = clock};
  }

  static void add(const Context& c, Lane lane, std::variant<models::Stage, Transfer> work,
                  int16_t layer, int64_t rank, int64_t predicted_ns, Subgraph& out) {
    out.add({.work = work,
             .lane = lane,
             .layer = layer,
             .micro_batch = static_cast<uint16_t>(c.micro_batch),
             .rank = rank,
             .predicted_ns = predicted_ns});
  }

  // This micro-batch's page of the layer at `clock`: into staging, then into the buffer that the
  // layer two before has left.
  void add_page(const Context& c, int64_t clock, Subgraph& out) const {
    const auto layer = static_cast<int16_t>(clock % layers_);
    const int64_t slot = (clock - 1) * micro_batches_ + c.micro_batch;
    Transfer copy = move(Payload::kWeights, Level::kHost, Level::kStaging);
    copy.pages = {static_cast<PageId>(layer * micro_batches_ + c.micro_batch), 1};
    add(c, Lane::kHostCompute, copy, layer, 2 * (slot - 2) + 1, times_.stage_ns, out);
    const TaskIndex staged = last(out);
    copy.from = Level::kStaging;
    copy.to = Level::kDevice;
    add(c, Lane::kHostToDevice, copy, layer, 2 * slot + 1, times_.page_ns, out);
    out.after(Dependency::task(staged));
    for (int j = 0; clock >= 2 && j < micro_batches_; ++j) out.wait(free(clock - 2, j));
    out.signal({resident(clock, c.micro_batch), static_cast<uint32_t>(micro_batches_)});
  }

  int layers_;
  int micro_batches_;
  int64_t steps_;
  CgopipeTimes times_;
};

}  // namespace sluice::schedule
