#include "planner/hrm.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/check.h"
#include "planner/host_traffic.h"
#include "planner/overlap.h"
#include "schedule/expert_place.h"

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
    return with_places();
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
    parts_.staging +=
        add("staging", Lane::kHostCompute, {.activation_bytes = crossings * bytes}, times);
  }

  void attention(const LayerKind& kind, bool prompts_alone) {
    const double before = computing_seconds(pass_);
    stage(StageKind::kQkv, kind.layer, kind.count);
    stage(StageKind::kAttend, kind.layer, kind.count,
          attend_on_device_ ? Lane::kDeviceCompute : Lane::kHostCompute);
    stage(StageKind::kOProj, kind.layer, kind.count);
    parts_.attention += computing_seconds(pass_) - before;
    const models::AttentionConfig& a = attention_of(kind.layer);
    const double times = batches_ * kind.count;
    const double token = kv_bytes_per_token(a);
    const double read = prompts_alone ? 0 : static_cast<double>(load_.context_tokens);
    // What does not stay where it is read comes there, and goes back grown, as fast on a disk too.
    const bool home = attend_on_device_ && candidate_.policy.attention_on == plan::Place::kHost;
    const double away = home ? 1 : 1 - candidate_.policy.resident_kv;
    if (!attend_on_device_) {
      move("kv", Lane::kDisk, away * (read + rows_.total()) * token, times);
      if (!kind_.device) return;
      const double head = rows_.total() * a.head_dim * kFloat;
      move("qkv", Lane::kDeviceToHost, (a.q_heads + 2 * a.kv_heads) * head, times);
      move("hidden", Lane::kHostToDevice, a.q_heads * head, times);
      return;
    }
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

  // Bytes of the experts between these shares, in order of use, that a pass brings over a lane:
  // each once for all micro-batches, unless nothing overlaps.
  void bring(const LayerKind& kind, Lane lane, double from, double to) {
    if (to <= from) return;
    const bool each = kind_.overlap == Overlap::kNone;
    const double rows = each ? rows_.total() : rows_.total() * batches_;
    const double page =
        models::stage_cost(subject_.model, group_of(kind), {.active_experts = 1}, weights_)
            .weight_bytes;
    const double bytes = routing_of(kind).distinct(rows, from, to) * page;
    const double times = (each ? batches_ : 1) * kind.count;
    if (bytes <= 0) return;
    const double seconds = add("weights", lane, {.weight_bytes = bytes}, times);
    if (lane != Lane::kHostToDevice) return;
    parts_.weights_up += seconds;
    stage_copy(bytes, times);
  }

  // Of such a layer's experts, the share that is on the device whenever they are asked for. Systems
  // that are not ours keep the same ones for good.
  double resident_share(const LayerKind& kind) const {
    const double slots = candidate_.policy.resident_weights;
    if (!kind_.by_expert) return slots;
    return schedule::staying_share(subject_.weights.fit.pages, routing_of(kind).experts(), slots);
  }

  // What is the same wherever a device's experts are computed; without a device, all of it.
  void experts(const LayerKind& kind) {
    stage(StageKind::kDispatch, kind.layer, kind.count);
    const double hits = routing_of(kind).distinct(rows_.total());
    if (!kind_.device)
      group(kind, Lane::kHostCompute, hits, routing_of(kind).tokens(rows_.total()));
    const double near = kind_.device ? resident_share(kind) : 0;
    bring(kind, Lane::kDisk, std::max(candidate_.host_weights, near), 1);
    stage(StageKind::kCombine, kind.layer, kind.count);
  }

  // The last `on_host` of the experts, in order of use, are computed by the host for the device.
  void place_experts(const LayerKind& kind, double on_host) {
    const Routing& routing = routing_of(kind);
    const double rows = rows_.total(), others = 1 - on_host;
    group(kind, Lane::kDeviceCompute, routing.distinct(rows, 0, others),
          routing.tokens(rows, 0, others));
    experts_on_host(kind, routing.distinct(rows, others, 1), routing.tokens(rows, others, 1));
    bring(kind, Lane::kHostToDevice, resident_share(kind), others);
  }

  // The pass, of which only the places of a device's experts are open yet, with this share on the
  // host.
  Pass with_share(double on_host) const {
    PassSum sum = *this;
    sum.pass_.host_experts = on_host;
    for (const LayerKind& kind : subject_.layers.kinds)
      if (kind_.device && kind.routing >= 0) sum.place_experts(kind, on_host);
    lay_beside(kind_.overlap, batches_, sum.parts_, sum.pass_);
    return std::move(sum.pass_);
  }

  Pass with_places() const {
    const plan::Place place = candidate_.policy.experts_on;
    if (!kind_.device || place != plan::Place::kAuto)
      return with_share(kind_.device && place == plan::Place::kHost ? 1 : 0);
    Pass best = with_share(0);
    for (int share = 1; share <= kHostShares; ++share) {
      // Ties go to the device.
      Pass pass = with_share(static_cast<double>(share) / kHostShares);
      if (pass.seconds < best.seconds) best = std::move(pass);
    }
    return best;
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

  const Subject& subject_;
  const Candidate& candidate_;
  const ScheduleKind& kind_;
  const Rows& rows_;
  bool with_work_;
  double batches_;
  bool attend_on_device_ = false;
  models::WeightBytes weights_;
  models::Load load_;
  PassParts parts_;
  Pass pass_;
};

}  // namespace

Pass pass_of(const Subject& subject, const Candidate& candidate, const Rows& rows,
             bool prompts_alone, bool with_work) {
  SLUICE_CHECK(find_schedule(candidate.policy.schedule) != nullptr, "a schedule that is known");
  return PassSum(subject, candidate, rows, prompts_alone, with_work).run(prompts_alone);
}

}  // namespace sluice::planner
