#include "planner/hrm.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/check.h"
#include "planner/expert_split.h"
#include "planner/host_traffic.h"

namespace sluice::planner {

using models::Cost;
using models::StageKind;
using schedule::Lane;

namespace {

constexpr double kFloat = sizeof(float);

Cost scaled(Cost cost, double times) {
  cost.flops *= times;
  cost.weight_bytes *= times;
  cost.kv_bytes *= times;
  cost.activation_bytes *= times;
  return cost;
}

// One pass while it is summed up.
class PassSum {
 public:
  PassSum(const Subject& subject, const Candidate& candidate, const Rows& rows, bool prompts_alone,
          bool with_work)
      : subject_(subject),
        candidate_(candidate),
        kind_(*find_schedule(candidate.policy.schedule)),
        rows_(rows),
        with_work_(with_work),
        batches_(static_cast<double>(candidate.micro_batches())) {
    attend_on_device_ =
        kind_.device && (prompts_alone || candidate.policy.attention_on == plan::Place::kDevice);
    weights_ = subject.weights.bytes;
    weights_.kv = candidate.kv_dtype;
    load_.tokens = std::llround(rows.total());
    load_.visible_keys =
        std::llround(rows.decode * rows.decode_context + rows.prompt * rows.prompt_context);
    load_.context_tokens = std::llround(rows.decode * rows.decode_context +
                                        2 * rows.prompt_sequences * rows.prompt_context);
    load_.logit_rows = std::llround(rows.decode + rows.prompt_sequences);
  }

  Pass run(bool prompts_alone) {
    // As if no row were there yet.
    if (candidate_.embedding_rows > 0)
      move("embedding", Lane::kDisk,
           rows_.total() * static_cast<double>(subject_.weights.fit.embedding_read_bytes),
           batches_);
    stage(StageKind::kEmbed, -1, 1);
    for (const LayerKind& kind : subject_.layers.kinds) {
      attention(kind, prompts_alone);
      stage(StageKind::kRoute, kind.layer, kind.count);
      if (kind.routing >= 0) experts(kind);
      if (kind.routing < 0 || ffn(kind).shared_inter > 0)
        stage(StageKind::kShared, kind.layer, kind.count);
      exchange(kind);
    }
    stage(StageKind::kHead, -1, 1);
    if (kind_.device) {
      move("logits", Lane::kDeviceToHost,
           static_cast<double>(load_.logit_rows) * subject_.model.vocab * kFloat, batches_);
    }
    stage(StageKind::kSample, -1, 1, Lane::kHostCompute);
    finish();
    return std::move(pass_);
  }

 private:
  Lane compute() const { return kind_.device ? Lane::kDeviceCompute : Lane::kHostCompute; }
  const models::FfnConfig& ffn(const LayerKind& kind) const {
    return subject_.model.layers[static_cast<size_t>(kind.layer)].ffn;
  }

  // `times` tasks of this cost each; the seconds they take.
  double add(const char* what, Lane lane, const Cost& each, double times) {
    const schedule::Rates& rates = subject_.machine.rates(lane);
    return spend(what, lane, each, times, schedule::predicted_ns(rates, each.flops, each.bytes()));
  }
  // The same of a stage's work, whose products have so many rows to each matrix.
  void add(StageKind kind, Lane lane, const Cost& each, double times, double tokens) {
    spend(models::name(kind), lane, each, times,
          schedule::cost_ns(subject_.machine.costs, lane, kind, each, tokens));
  }
  double spend(const char* what, Lane lane, const Cost& each, double times, int64_t each_ns) {
    const double seconds = 1e-9 * times * static_cast<double>(each_ns);
    pass_.lanes[static_cast<size_t>(lane)] += seconds;
    if (!with_work_ || times <= 0) return seconds;
    for (WorkTime& work : pass_.work) {
      if (work.lane != lane || std::string_view(work.what) != what) continue;
      work.seconds += seconds;
      work.cost += scaled(each, times);
      return seconds;
    }
    pass_.work.push_back({what, lane, seconds, scaled(each, times)});
    return seconds;
  }
  void stage(StageKind kind, int layer, int layers, Lane lane) {
    const models::Stage stage{kind, static_cast<int16_t>(layer), 0, 1};
    Cost cost = models::stage_cost(subject_.model, stage, load_, weights_);
    if (kind == StageKind::kAttend && lane == Lane::kHostCompute)
      cost.kv_bytes *= kv_crossings(layer);
    spend(models::name(kind), lane, cost, batches_ * layers,
          schedule::cost_ns(subject_.machine.costs, subject_.model, lane, stage, load_, cost));
  }
  void stage(StageKind kind, int layer, int layers) { stage(kind, layer, layers, compute()); }
  void move(const char* what, Lane lane, double bytes, double times) {
    if (bytes > 0) add(what, lane, {.activation_bytes = bytes}, times);
  }

  const models::AttentionConfig& attention_of(int layer) const {
    return subject_.model.layers[static_cast<size_t>(layer)].attention;
  }
  double kv_bytes_per_token(const models::AttentionConfig& a) const {
    return static_cast<double>(models::kv_layout(a, 16, weights_.kv).bytes_per_token());
  }
  // How often each byte of a layer's cache crosses the host's memory while it attends.
  double kv_crossings(int layer) const {
    if (kind_.host_attention == HostAttention::kInPlace) return 1;
    const models::AttentionConfig& a = attention_of(layer);
    return expansion_crossings(a, kv_bytes_per_token(a) / (2.0 * a.kv_heads * a.head_dim));
  }
  // Of what moves to the device and does not lie in pinned memory.
  void stage_copy(double bytes, double times) {
    const double crossings = staging_crossings(kind_.staging);
    if (crossings <= 0 || bytes <= 0) return;
    staging_ += add("staging", Lane::kHostCompute, {.activation_bytes = crossings * bytes}, times);
  }
  double computing() const {
    return pass_.lanes[static_cast<size_t>(Lane::kDeviceCompute)] +
           pass_.lanes[static_cast<size_t>(Lane::kHostCompute)];
  }

  void attention(const LayerKind& kind, bool prompts_alone) {
    const double before = computing();
    stage(StageKind::kQkv, kind.layer, kind.count);
    stage(StageKind::kAttend, kind.layer, kind.count,
          attend_on_device_ ? Lane::kDeviceCompute : Lane::kHostCompute);
    stage(StageKind::kOProj, kind.layer, kind.count);
    attention_ += computing() - before;
    if (!kind_.device) return;
    const models::AttentionConfig& a = attention_of(kind.layer);
    const double times = batches_ * kind.count;
    if (!attend_on_device_) {
      const double q = double{1} * a.q_heads * a.head_dim;
      const double kv = double{1} * a.kv_heads * a.head_dim;
      move("qkv", Lane::kDeviceToHost, rows_.total() * (q + 2 * kv) * kFloat, times);
      move("hidden", Lane::kHostToDevice, rows_.total() * q * kFloat, times);
      return;
    }
    // What of the cache does not stay on the device comes there to be read, and goes back grown.
    const double away = 1 - candidate_.policy.resident_kv;
    const double token = kv_bytes_per_token(a);
    const double read = prompts_alone ? 0 : static_cast<double>(load_.context_tokens);
    move("kv", Lane::kHostToDevice, away * read * token, times);
    if (kind_.staging == Staging::kBefore) stage_copy(away * read * token, times);
    move("kv", Lane::kDeviceToHost, away * rows_.total() * token, times);
  }

  const Routing& routing_of(const LayerKind& kind) const {
    return subject_.layers.routings[static_cast<size_t>(kind.routing)];
  }
  static models::Stage group_of(const LayerKind& kind) {
    return {StageKind::kExpertGroup, static_cast<int16_t>(kind.layer), 0, 1};
  }

  // So many experts, with so many tokens between them, of one micro-batch on a lane.
  void group(const LayerKind& kind, Lane lane, double hit, double tokens) {
    if (hit <= 0 || tokens <= 0) return;
    const models::Stage stage = group_of(kind);
    // A cost is linear in both.
    Cost cost =
        scaled(models::stage_cost(subject_.model, stage, {.active_experts = 1}, weights_), hit);
    Cost rows =
        scaled(models::stage_cost(subject_.model, stage, {.expert_tokens = 1}, weights_), tokens);
    if (kind_.tile_rows > 1) rows.flops *= in_tiles(tokens / hit, kind_.tile_rows) * hit / tokens;
    cost += rows;
    add(StageKind::kExpertGroup, lane, cost, batches_ * kind.count, tokens / hit);
  }

  // Bytes of `part` of the experts between these shares, in order of use, that a pass brings over a
  // lane: each once for all micro-batches, unless nothing overlaps.
  void bring(const LayerKind& kind, Lane lane, double from, double to, double part = 1) {
    if (to <= from || part <= 0) return;
    const bool each = kind_.overlap == Overlap::kNone;
    const double rows = each ? rows_.total() : rows_.total() * batches_;
    const double page =
        models::stage_cost(subject_.model, group_of(kind), {.active_experts = 1}, weights_)
            .weight_bytes;
    const double bytes = part * routing_of(kind).distinct(rows, from, to) * page;
    const double times = (each ? batches_ : 1) * kind.count;
    if (bytes <= 0) return;
    const double seconds = add("weights", lane, {.weight_bytes = bytes}, times);
    if (lane != Lane::kHostToDevice) return;
    weights_up_ += seconds;
    stage_copy(bytes, times);
  }

  void experts(const LayerKind& kind) {
    stage(StageKind::kDispatch, kind.layer, kind.count);
    const Routing& routing = routing_of(kind);
    const double hits = routing.distinct(rows_.total()), tokens = routing.tokens(rows_.total());
    double in_memory = candidate_.host_weights;
    if (kind_.device) {
      const double near = resident_share(subject_, candidate_, kind);
      in_memory = std::max(in_memory, near);
      const ExpertSplit split = expert_split(subject_, candidate_, kind, load_);
      const double host_hits = split.host_hits * routing.distinct(rows_.total(), split.ahead, 1);
      const double host_tokens = split.host_tokens * routing.tokens(rows_.total(), split.ahead, 1);
      group(kind, Lane::kDeviceCompute, hits - host_hits, tokens - host_tokens);
      experts_on_host(kind, host_hits, host_tokens);
      bring(kind, Lane::kHostToDevice, near, split.ahead);
      bring(kind, Lane::kHostToDevice, std::max(near, split.ahead), 1, 1 - split.host_hits);
    } else {
      group(kind, Lane::kHostCompute, hits, tokens);
    }
    bring(kind, Lane::kDisk, in_memory, 1);
    stage(StageKind::kCombine, kind.layer, kind.count);
  }

  // For a device: all rows and their experts come to the host, each expert's rows go back.
  void experts_on_host(const LayerKind& kind, double hits, double tokens) {
    if (hits <= 0) return;
    const double row = subject_.model.hidden * kFloat, times = batches_ * kind.count;
    move("hidden", Lane::kDeviceToHost,
         rows_.total() * (row + ffn(kind).top_k * double{sizeof(int32_t)}), times);
    stage(StageKind::kDispatch, kind.layer, kind.count, Lane::kHostCompute);
    group(kind, Lane::kHostCompute, hits, tokens);
    move("hidden", Lane::kHostToDevice, tokens * row, times);
  }

  // Devices that share a layer sum its two halves: 2 (d - 1) / d of the rows, over their links.
  void exchange(const LayerKind& kind) {
    const double devices = subject_.machine.devices;
    if (!kind_.device || devices < 2) return;
    const double bytes = 2 * rows_.total() * subject_.model.hidden * 2;
    const double link = subject_.machine.rates(Lane::kDeviceToHost).bytes_per_second / devices;
    const double seconds = bytes * 2 * (devices - 1) / devices / link;
    pass_.lanes[static_cast<size_t>(Lane::kDeviceCompute)] += seconds * batches_ * kind.count;
  }

  // Busy seconds of the lanes, as the schedule lays them beside each other.
  void finish() {
    const auto at = [&](Lane lane) { return pass_.lanes[static_cast<size_t>(lane)]; };
    const auto busiest = std::max_element(pass_.lanes.begin(), pass_.lanes.end());
    pass_.bound = static_cast<Lane>(busiest - pass_.lanes.begin());
    double sum = 0;
    for (const double seconds : pass_.lanes) sum += seconds;
    switch (kind_.overlap) {
      case Overlap::kAll:
        pass_.seconds = *busiest;
        pass_.floor_seconds = std::max(at(Lane::kHostCompute), at(Lane::kDisk));
        return;
      case Overlap::kNone:
        pass_.seconds = sum;
        return;
      case Overlap::kSteps: {
        const double up = at(Lane::kHostToDevice) - weights_up_, down = at(Lane::kDeviceToHost);
        const double rest = computing() - staging_ - attention_;
        const double first =
            std::max({weights_up_ + up / batches_, down / batches_, attention_ / batches_});
        const double others = (1 - 1 / batches_) * std::max({up, down, attention_});
        pass_.seconds = std::max(staging_ + first + others + rest, *busiest);
        return;
      }
    }
  }

  const Subject& subject_;
  const Candidate& candidate_;
  const ScheduleKind& kind_;
  const Rows& rows_;
  bool with_work_;
  double batches_;
  bool attend_on_device_ = false;
  models::WeightBytes weights_;
  models::Load load_;
  // Seconds of the pass: of weights to the device, of copies to pinned memory, of attention's
  // stages.
  double weights_up_ = 0, staging_ = 0, attention_ = 0;
  Pass pass_;
};

}  // namespace

Pass pass_of(const Subject& subject, const Candidate& candidate, const Rows& rows,
             bool prompts_alone, bool with_work) {
  SLUICE_CHECK(find_schedule(candidate.policy.schedule) != nullptr, "a schedule that is known");
  return PassSum(subject, candidate, rows, prompts_alone, with_work).run(prompts_alone);
}

}  // namespace sluice::planner
