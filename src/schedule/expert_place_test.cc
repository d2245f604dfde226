// Which experts the host computes for a device, and what that looks like in the graph.
#include "schedule/expert_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/paged_experts.h"

namespace sluice::schedule {
namespace {

using models::StageKind;

constexpr int kExperts = 8;

class ExpertPlaces : public ::testing::Test {
 protected:
  ExpertPlaces() {
    models::LayerConfig layer;
    layer.attention.q_heads = 2;
    layer.attention.kv_heads = 1;
    layer.attention.head_dim = 8;
    layer.ffn = {.inter = 128, .experts = kExperts, .top_k = 2};
    config_.layers.assign(2, layer);
    config_.hidden = 64;
    config_.vocab = 64;
    plan_.policy = {.schedule = "cgopipe",
                    .batch = 40,
                    .micro_batch = 10,
                    .experts_on = plan::Place::kAuto,
                    .resident_weights = 0};
    plan_.logit_rows = 10;
    plan_.kv_block_tokens = 16;
    plan_.device_bytes = 1;
    page_bytes_.assign(2, 64 * 128 * 3 * 2);
    levels_.assign(2 * kExperts, Level::kHost);
    share_.assign(2 * kExperts, .25F);
    for (int i = 0; i < 2 * kExperts; ++i) order_.push_back(static_cast<int16_t>(i % kExperts));
    set_link(16e6);
    all_.flip();
    all_ >>= models::kMaxExperts - kExperts;
    context_.model = &config_;
    context_.plan = &plan_;
    context_.costs = &costs_;
    context_.batch = {
        .rows = 10, .sequences = 10, .visible_keys = 300, .context_tokens = 300, .logit_rows = 10};
    context_.residency = {.experts = levels_,
                          .order = order_,
                          .share = share_,
                          .page_bytes = page_bytes_,
                          .experts_per_layer = kExperts};
  }

  // Beside a device of 300 and a host of 76 MB/s.
  void set_link(double bytes_per_second) {
    const auto set = [&](Lane lane, double bytes, double flops) {
      costs_.rates[static_cast<size_t>(lane)] = {.flops_per_second = flops,
                                                 .bytes_per_second = bytes};
    };
    set(Lane::kDeviceCompute, 300e6, 65e9);
    set(Lane::kHostCompute, 76e6, 8e9);
    set(Lane::kHostToDevice, bytes_per_second, 0);
    set(Lane::kDeviceToHost, bytes_per_second, 0);
  }

  models::ModelConfig config_;
  plan::Plan plan_;
  CostModel costs_;
  std::vector<int64_t> page_bytes_;
  std::vector<Level> levels_;
  std::vector<int16_t> order_;
  std::vector<float> share_;
  ExpertSet all_;
  Context context_;
};

TEST_F(ExpertPlaces, GiveTheHostWhatEvensOutTheLanes) {
  // By bandwidth alone: pages at 16 MB/s once for four micro-batches, the host at 76 MB/s for each.
  const size_t four = experts_for_host(context_, 0, all_).count();
  EXPECT_GE(four, 3u);
  EXPECT_LE(four, 5u);
  // The more micro-batches a page serves, the better it pays to move it.
  plan_.policy.batch = 200;
  const size_t twenty = experts_for_host(context_, 0, all_).count();
  EXPECT_LT(twenty, four);
  EXPECT_GT(twenty, 0u);
  // Over a fast link it pays only to even out the host and the device, which is four times as fast.
  set_link(10e9);
  EXPECT_LE(experts_for_host(context_, 0, all_).count(), 2u);
}

TEST_F(ExpertPlaces, StayOnADeviceThatHasRoomForThem) {
  size_t before = experts_for_host(context_, 0, all_).count();
  for (const double share : {.25, .5, .75, 1.}) {
    plan_.policy.resident_weights = share;
    const size_t host = experts_for_host(context_, 0, all_).count();
    EXPECT_LE(host, before) << share;
    before = host;
  }
  // What is left evens out the host and the device, as behind a fast link.
  EXPECT_LE(before, 2u);
  // Whatever the host computed of the others it would compute again in each round.
  EXPECT_FALSE(ExpertLists(context_, 0, 0).on_host(1));
  EXPECT_FALSE(ExpertLists(context_, 0, 4).on_host(1));
  // Slots are for those that are moved ahead first.
  plan_.policy.resident_weights = .5;
  EXPECT_TRUE(ExpertLists(context_, 0, 4).on_host(1));
}

TEST_F(ExpertPlaces, TakeTheExpertsThatFewestTokensChoose) {
  share_ = {.9F, .1F, .8F, .05F, .7F, .02F, .3F, .6F, 0, 0, 0, 0, 0, 0, 0, 0};
  const ExpertSet host = experts_for_host(context_, 0, all_);
  ASSERT_GE(host.count(), 2u);
  ASSERT_LT(host.count(), 8u);
  float warmest = 0, coldest = 1;
  for (size_t e = 0; e < kExperts; ++e) {
    if (host[e]) warmest = std::max(warmest, share_[e]);
    if (!host[e]) coldest = std::min(coldest, share_[e]);
  }
  EXPECT_LT(warmest, coldest);
}

TEST_F(ExpertPlaces, LeaveAHostAloneThatHasMostToDo) {
  context_.batch.context_tokens = context_.batch.visible_keys = 300'000;
  EXPECT_TRUE(experts_for_host(context_, 0, all_).none());
}

TEST_F(ExpertPlaces, AreAsThePlanSays) {
  plan_.policy.experts_on = plan::Place::kDevice;
  EXPECT_TRUE(experts_for_host(context_, 0, all_).none());
  EXPECT_FALSE(ExpertLists(context_, 0, 0).on_host(1));
  plan_.policy.experts_on = plan::Place::kHost;
  EXPECT_EQ(experts_for_host(context_, 0, all_), all_);
  EXPECT_TRUE(ExpertLists(context_, 0, 0).on_host(100'000));
  // Without times nobody can say, and nothing is given away.
  plan_.policy.experts_on = plan::Place::kAuto;
  context_.costs = nullptr;
  EXPECT_TRUE(experts_for_host(context_, 0, all_).none());
  EXPECT_FALSE(ExpertLists(context_, 0, 0).on_host(1));
}

TEST_F(ExpertPlaces, StandBehindThePagesThatMoveAhead) {
  const auto host_of_twelve = [&](size_t ahead) {
    ExpertLists lists(context_, 0, ahead);
    int host = 0;
    for (int i = 0; i < 12; ++i) host += lists.on_host(1);
    return host;
  };
  EXPECT_GT(host_of_twelve(kExperts - 1), host_of_twelve(0));
}

TEST_F(ExpertPlaces, AreListedWhereNoneMoves) {
  context_.residency = {};  // layer_stream with all experts in memory: no layer states its bytes
  plan_.policy.experts_on = plan::Place::kDevice;
  EXPECT_FALSE(ExpertLists(context_, 0, 0).on_host(1));
}

TEST_F(ExpertPlaces, ListFewTokensOnTheHostAndManyBehindTheLink) {
  EXPECT_TRUE(ExpertLists(context_, 0, 0).on_host(1));
  EXPECT_FALSE(ExpertLists(context_, 0, 0).on_host(50'000));
  // The host is not given everything: in time the link is sooner.
  ExpertLists lists(context_, 0, 0);
  int host = 0;
  for (int i = 0; i < 12; ++i) host += lists.on_host(1);
  EXPECT_GT(host, 6);
  EXPECT_LT(host, 12);
}

TEST_F(ExpertPlaces, ComputedOnTheHostComeBackBeforeTheSum) {
  const std::vector<int32_t> counts = {3, 0, 2, 5, 1, 0, 4, 5};
  plan_.policy.experts_on = plan::Place::kHost;
  for (const char* name : {"cgopipe", "kv_prefetch", "serial"}) {
    const Builder& builder = **find(name);
    Subgraph g, e;
    builder.iteration(context_, g);
    for (const Task& task : g.tasks) {
      EXPECT_FALSE(task.transfer() != nullptr && task.transfer()->payload == Payload::kWeights);
    }
    builder.expand(context_, g.expansions[0], {counts}, e);
    const Status status = validate(e, g.expansions[0].bounds, true);
    EXPECT_TRUE(status.ok()) << status.error().message;
    int inputs = 0, groups = 0, outputs = 0;
    int64_t tokens = 0;
    for (const Task& task : e.tasks) {
      const Transfer* t = task.transfer();
      if (t == nullptr) {
        if (task.stage()->kind == StageKind::kExpertGroup) {
          EXPECT_EQ(task.lane, Lane::kHostCompute);
          ++groups;
        }
        continue;
      }
      inputs += t->payload == Payload::kExpertInput;
      if (t->payload != Payload::kExpertOutput) continue;
      ++outputs;
      tokens += t->bytes / (config_.hidden * 4);
    }
    EXPECT_EQ(inputs, 1) << name;
    EXPECT_EQ(groups, 6) << name;
    EXPECT_EQ(outputs, 6) << name;
    EXPECT_EQ(tokens, 20) << name;
    EXPECT_EQ(e.tasks.back().stage()->kind, StageKind::kCombine);
    EXPECT_EQ(e.dependencies_of(e.tasks.back()).size(), 7u) << name;
    for (size_t i = 1; i < e.tasks.size() && std::string(name) == "serial"; ++i) {
      bool follows = false;
      for (Dependency d : e.dependencies_of(e.tasks[i])) follows |= d.index() == i - 1;
      EXPECT_TRUE(follows) << "task " << i << " runs beside another";
    }
  }
}

TEST_F(ExpertPlaces, GraphsAreValidPureAndWithinTheirBounds) {
  std::vector<int32_t> counts = {3, 0, 2, 5, 1, 0, 4, 5};
  for (const char* name : {"cgopipe", "kv_prefetch", "serial"}) {
    const Builder& builder = **find(name);
    for (const double link : {1e6, 16e6, 80e6, 10e9}) {
      for (const int64_t rows : {1, 3, 10}) {
        set_link(link);
        context_.batch.rows = rows;
        const BuilderBounds bounds = builder.bounds(context_);
        Subgraph g, again;
        builder.iteration(context_, g);
        builder.iteration(context_, again);
        EXPECT_EQ(g, again);
        EXPECT_TRUE(validate(g, bounds.iteration).ok());
        Subgraph a, b;
        builder.expand(context_, g.expansions[1], {counts}, a);
        builder.expand(context_, g.expansions[1], {counts}, b);
        EXPECT_EQ(a, b);
        const Status status = validate(a, bounds.expansion, true);
        EXPECT_TRUE(status.ok()) << status.error().message;
        std::ranges::rotate(counts, counts.begin() + 1);
      }
    }
  }
}

}  // namespace
}  // namespace sluice::schedule
