#include "schedule/expert_place.h"

#include <algorithm>
#include <array>

#include "models/stage.h"

namespace sluice::schedule {

using models::StageKind;

namespace {

bool by_cost(const Context& context) {
  return context.plan->policy.experts_on == plan::Place::kAuto && context.costs != nullptr;
}

double group_ns(const Context& context, int16_t layer, Lane lane, int64_t tokens) {
  const models::Stage stage{.kind = StageKind::kExpertGroup, .layer = layer, .count = 1};
  const models::Load load{
      .tokens = context.batch.rows, .expert_tokens = tokens, .active_experts = 1};
  return static_cast<double>(stage_ns(*context.costs, *context.model, lane, stage, load));
}

// The same of one expert after the other, of which many have as many tokens as the one before.
class GroupTimes {
 public:
  GroupTimes(const Context& context, int16_t layer, Lane lane)
      : context_(context), layer_(layer), lane_(lane) {}
  double of(double tokens) {
    const auto whole = static_cast<int64_t>(tokens);
    if (whole != tokens_) {
      tokens_ = whole;
      ns_ = group_ns(context_, layer_, lane_, whole);
    }
    return ns_;
  }

 private:
  const Context& context_;
  int16_t layer_;
  Lane lane_;
  int64_t tokens_ = -1;
  double ns_ = 0;
};

double stage_time(const Context& context, int16_t layer, Lane lane, StageKind kind) {
  const models::Load load{.tokens = context.batch.rows,
                          .visible_keys = context.batch.visible_keys,
                          .context_tokens = context.batch.context_tokens};
  return static_cast<double>(
      stage_ns(*context.costs, *context.model, lane, {.kind = kind, .layer = layer}, load));
}

double link_ns(const Context& context, double bytes) {
  return static_cast<double>(
      transfer_ns(*context.costs, Lane::kHostToDevice, {.bytes = static_cast<int64_t>(bytes)}));
}

double page_ns(const Context& context, int layer) {
  const auto bytes = context.residency.page_bytes[static_cast<size_t>(layer)];
  return link_ns(context, static_cast<double>(bytes));
}

// Of one layer's pages, those that stay: the most used.
double staying_pages(const Context& context, int layer) {
  int64_t pages = 0;
  for (const models::LayerConfig& each : context.model->layers) pages += each.ffn.experts;
  const int experts = context.model->layers[static_cast<size_t>(layer)].ffn.experts;
  return experts * staying_share(pages, experts, context.plan->policy.resident_weights);
}

// Of so many pages that most likely are needed.
double crossing_pages(const Context& context, int layer, size_t pages) {
  return std::max(static_cast<double>(pages) - staying_pages(context, layer), 0.0);
}

// What each lane has to do in one layer, for one micro-batch; nanoseconds.
struct Loads {
  double device = 0, host = 0, link = 0;
  double most() const { return std::max({device, host, link}); }
};

// Without experts.
Loads loads_of_layer(const Context& context, int16_t layer) {
  const models::AttentionConfig& a = context.model->layers[static_cast<size_t>(layer)].attention;
  Loads loads;
  for (const StageKind kind : {StageKind::kQkv, StageKind::kOProj, StageKind::kRoute}) {
    loads.device += stage_time(context, layer, Lane::kDeviceCompute, kind);
  }
  if (context.plan->policy.attention_on == plan::Place::kHost) {
    loads.host = stage_time(context, layer, Lane::kHostCompute, StageKind::kAttend);
    loads.link = link_ns(
        context, static_cast<double>(context.batch.rows) * a.q_heads * a.head_dim * sizeof(float));
    return loads;
  }
  loads.device += stage_time(context, layer, Lane::kDeviceCompute, StageKind::kAttend);
  const kernels::KvLayout layout =
      models::kv_layout(a, static_cast<int>(context.plan->kv_block_tokens), context.plan->kv_dtype);
  loads.link = link_ns(
      context, static_cast<double>(context.batch.kv.arriving_blocks * layout.block_bytes()));
  return loads;
}

// Of so many pages, the part of their time on the link that is one micro-batch's.
int64_t pages_ns(const Context& context, int layer, size_t pages) {
  // Where no page moves, no layer states its bytes.
  if (context.costs == nullptr || pages == 0) return 0;
  return static_cast<int64_t>(crossing_pages(context, layer, pages) * page_ns(context, layer) /
                              static_cast<double>(context.plan->micro_batches()));
}

}  // namespace

double share_of(const Context& context, int layer, int expert) {
  const models::FfnConfig& ffn = context.model->layers[static_cast<size_t>(layer)].ffn;
  const Residency& residency = context.residency;
  return residency.share.empty() ? static_cast<double>(ffn.top_k) / ffn.experts
                                 : residency.share[residency.page(layer, expert)];
}

double staying_share(int64_t pages, int experts, double resident_weights) {
  if (resident_weights >= 1) return 1;
  return std::max(0.0, resident_weights - 0.5 * experts / static_cast<double>(pages));
}

ExpertSet experts_for_host(const Context& context, int layer_index, const ExpertSet& moving) {
  if (context.plan->policy.experts_on == plan::Place::kHost) return moving;
  if (!by_cost(context) || moving.none()) return {};
  const auto layer = static_cast<int16_t>(layer_index);
  const int experts = context.model->layers[static_cast<size_t>(layer)].ffn.experts;
  const double page = page_ns(context, layer) / static_cast<double>(context.plan->micro_batches());
  const auto tokens_of = [&](int expert) {
    return std::max(1.0,
                    share_of(context, layer, expert) * static_cast<double>(context.batch.rows));
  };
  GroupTimes on_device(context, layer, Lane::kDeviceCompute);
  GroupTimes on_host(context, layer, Lane::kHostCompute);
  Loads loads = loads_of_layer(context, layer);
  std::array<int16_t, models::kMaxExperts> coldest;
  int count = 0;
  for (int expert = 0; expert < experts; ++expert) {
    loads.device += on_device.of(tokens_of(expert));
    if (!moving[static_cast<size_t>(expert)]) continue;
    coldest[static_cast<size_t>(count++)] = static_cast<int16_t>(expert);
  }
  double crossing = crossing_pages(context, layer, static_cast<size_t>(count));
  loads.link += crossing * page;
  std::sort(coldest.begin(), coldest.begin() + count, [&](int16_t a, int16_t b) {
    const double share_a = share_of(context, layer, a), share_b = share_of(context, layer, b);
    return share_a != share_b ? share_a < share_b : a < b;
  });
  ExpertSet host;
  for (int i = 0; i < count; ++i) {
    const int expert = coldest[static_cast<size_t>(i)];
    const double tokens = tokens_of(expert);
    Loads with = loads;
    with.device -= on_device.of(tokens);
    with.host += on_host.of(tokens);
    const double fewer = std::min(crossing, 1.0);
    with.link += link_ns(context, tokens * static_cast<double>(context.row_bytes())) - fewer * page;
    if (with.most() >= loads.most()) break;
    loads = with;
    crossing -= fewer;
    host.set(static_cast<size_t>(expert));
  }
  return host;
}

ExpertLists::ExpertLists(const Context& context, int16_t layer, size_t ahead)
    : context_(&context), layer_(layer), link_ns_(pages_ns(context, layer, ahead)) {
  const int others =
      context.model->layers[static_cast<size_t>(layer)].ffn.experts - static_cast<int>(ahead);
  const double slots = staying_pages(context, layer) - static_cast<double>(ahead);
  if (others > 0) crossing_ = 1 - std::clamp(slots / others, 0.0, 1.0);
}

void ExpertLists::take_times(int32_t tokens) {
  tokens_ = tokens;
  page_ns_ = static_cast<int64_t>(crossing_ * page_ns(*context_, layer_));
  host_group_ns_ = static_cast<int64_t>(group_ns(*context_, layer_, Lane::kHostCompute, tokens));
  device_group_ns_ =
      static_cast<int64_t>(group_ns(*context_, layer_, Lane::kDeviceCompute, tokens));
  output_ns_ =
      static_cast<int64_t>(link_ns(*context_, tokens * static_cast<double>(context_->row_bytes())));
}

bool ExpertLists::on_host(int32_t tokens) {
  if (context_->plan->policy.experts_on == plan::Place::kHost) return true;
  if (!by_cost(*context_)) return false;
  if (tokens != tokens_) take_times(tokens);
  const int64_t host_end = host_ns_ + host_group_ns_;
  const int64_t link_end = link_ns_ + page_ns_;
  const int64_t device_end = std::max(link_end, device_ns_) + device_group_ns_;
  const bool on_host = host_end + output_ns_ < device_end;
  if (on_host) {
    host_ns_ = host_end;
  } else {
    link_ns_ = link_end;
    device_ns_ = device_end;
  }
  return on_host;
}

}  // namespace sluice::schedule
