#include "schedule/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::schedule {
namespace {

using models::StageKind;
using ::testing::HasSubstr;

// A dense first layer, an MoE layer, and one with a shared expert.
class Builders : public ::testing::Test {
 protected:
  Builders() {
    models::LayerConfig layer;
    layer.attention.q_heads = 4;
    layer.attention.kv_heads = 2;
    layer.attention.head_dim = 8;
    layer.ffn = {.inter = 96};
    config_.layers.push_back(layer);
    layer.ffn = {.inter = 48, .experts = 6, .top_k = 2};
    config_.layers.push_back(layer);
    layer.ffn.shared_inter = 64;
    config_.layers.push_back(layer);
    config_.hidden = 32;
    config_.vocab = 128;
    plan_.logit_rows = 4;
    plan_.kv_block_tokens = 16;
    context_.model = &config_;
    context_.plan = &plan_;
    context_.micro_batch = 2;
    context_.batch = {
        .rows = 9, .sequences = 9, .visible_keys = 90, .context_tokens = 90, .logit_rows = 9};
  }

  static std::vector<std::string> labels(const Subgraph& graph) {
    std::vector<std::string> all;
    for (const Task& task : graph.tasks) all.push_back(label(task));
    return all;
  }

  models::ModelConfig config_;
  plan::Plan plan_;
  Context context_;
  const std::vector<int32_t> counts_ = {5, 0, 7, 0, 1, 5};
};

TEST_F(Builders, AreFoundByName) {
  for (const Builder* builder : builders()) {
    auto found = find(builder->name());
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, builder);
  }
  const auto missing = find("cgo");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(missing.error().message,
            "unknown schedule 'cgo'; there are: resident, serial, layer_stream, expert_fetch, "
            "kv_prefetch, cgopipe");
}

TEST_F(Builders, AreValidPureAndWithinTheirBounds) {
  for (const Builder* builder : builders()) {
    for (int64_t rows : {0, 1, 4, 5, 400}) {
      context_.batch.logit_rows = rows;
      // Attention in as many parts as there is nothing, or something, to move in.
      const std::vector<KvPart> parts(static_cast<size_t>(rows % 4));
      context_.kv_parts = parts;
      context_.batch.kv = {.blocks = rows,
                           .arriving_blocks = rows / 2,
                           .leaving_tokens = rows,
                           .parts = std::max<int64_t>(rows % 4, 1)};
      const BuilderBounds bounds = builder->bounds(context_);
      Subgraph first, second;
      builder->iteration(context_, first);
      builder->iteration(context_, second);
      EXPECT_EQ(first, second) << builder->name();
      const Status status = validate(first, bounds.iteration);
      EXPECT_TRUE(status.ok()) << status.error().message;
      ASSERT_EQ(first.expansions.size(), 2u);
      for (const ExpansionPoint& point : first.expansions) {
        EXPECT_TRUE(point.bounds.within(bounds.expansion));
        Subgraph a, b;
        builder->expand(context_, point, {counts_}, a);
        builder->expand(context_, point, {counts_}, b);
        EXPECT_EQ(a, b);
        EXPECT_TRUE(validate(a, point.bounds, true).ok()) << builder->name();
      }
    }
  }
}

TEST_F(Builders, ResidentRunsTheStagesInOrder) {
  const Builder& resident = **find("resident");
  Subgraph g;
  resident.iteration(context_, g);
  EXPECT_THAT(labels(g), ::testing::ElementsAre(
                             "embed mb2", "L00 qkv mb2", "L00 attend mb2", "L00 o_proj mb2",
                             "L00 route mb2", "L00 shared mb2", "L01 qkv mb2", "L01 attend mb2",
                             "L01 o_proj mb2", "L01 route mb2", "L02 qkv mb2", "L02 attend mb2",
                             "L02 o_proj mb2", "L02 route mb2", "head 0 mb2", "sample 0 mb2",
                             "head 1 mb2", "sample 1 mb2", "head 2 mb2", "sample 2 mb2"));
  EXPECT_FALSE(g.exclusive);
  EXPECT_EQ(g.dependencies_of(g.tasks[6]).front(), Dependency::task(5));
  EXPECT_EQ(g.dependencies_of(g.tasks[10]).front(), Dependency::expansion(9));
  EXPECT_EQ(g.dependencies_of(g.tasks[14]).front(), Dependency::expansion(13));

  Subgraph e;
  resident.expand(context_, g.expansions[0], {counts_}, e);
  EXPECT_THAT(labels(e), ::testing::ElementsAre("L01 dispatch mb2", "L01 expert_group 0-5 mb2",
                                                "L01 combine mb2"));
  e.clear();
  resident.expand(context_, g.expansions[1], {counts_}, e);
  EXPECT_THAT(labels(e), ::testing::ElementsAre("L02 dispatch mb2", "L02 expert_group 0-5 mb2",
                                                "L02 shared mb2", "L02 combine mb2"));
}

TEST_F(Builders, SerialHasATaskForEachExpertWithTokens) {
  const Builder& serial = **find("serial");
  Subgraph g, e;
  serial.iteration(context_, g);
  EXPECT_TRUE(g.exclusive);
  serial.expand(context_, g.expansions[0], {counts_}, e);
  EXPECT_THAT(labels(e), ::testing::ElementsAre("L01 dispatch mb2", "L01 expert_group 0 mb2",
                                                "L01 expert_group 2 mb2", "L01 expert_group 4 mb2",
                                                "L01 expert_group 5 mb2", "L01 combine mb2"));
  for (size_t i = 1; i < e.tasks.size(); ++i) {
    EXPECT_EQ(e.dependencies_of(e.tasks[i]).front(),
              Dependency::task(static_cast<TaskIndex>(i - 1)));
  }
}

TEST_F(Builders, HaveNoHeadWithoutLogitRows) {
  context_.batch.logit_rows = 0;
  Subgraph g;
  (*find("resident"))->iteration(context_, g);
  EXPECT_EQ(labels(g).back(), "L02 route mb2");
}

TEST_F(Builders, PredictFromTheStagesOwnCost) {
  CostModel costs;
  costs.rates[static_cast<size_t>(Lane::kHostCompute)] = {.flops_per_second = 1e9,
                                                          .bytes_per_second = 1e9};
  const Builder& resident = **find("resident");
  Subgraph g, e;
  resident.iteration(context_, g);
  EXPECT_EQ(g.tasks[1].predicted_ns, 0);
  context_.costs = &costs;
  g.clear();
  resident.iteration(context_, g);
  for (const Task& task : g.tasks) {
    models::Load load{.tokens = 9, .visible_keys = 90, .context_tokens = 90};
    const models::Stage& stage = *task.stage();
    if (stage.kind == StageKind::kHead || stage.kind == StageKind::kSample) {
      load.logit_rows = stage.first == 2 ? 1 : 4;
    }
    const models::Cost cost = models::stage_cost(config_, stage, load, costs.weights);
    EXPECT_EQ(task.predicted_ns, std::llround(std::max(cost.flops, cost.bytes()))) << label(task);
  }
  resident.expand(context_, g.expansions[0], {counts_}, e);
  const models::Cost cost =
      models::stage_cost(config_, *e.tasks[1].stage(),
                         {.tokens = 9, .expert_tokens = 18, .active_experts = 4}, costs.weights);
  EXPECT_EQ(e.tasks[1].predicted_ns, std::llround(std::max(cost.flops, cost.bytes())));
}

TEST(PredictedTime, IsTheSlowerOfBytesAndFlops) {
  EXPECT_EQ(predicted_ns({.flops_per_second = 2e9, .bytes_per_second = 1e9}, 8, 3), 4);
  EXPECT_EQ(predicted_ns({.flops_per_second = 2e9, .bytes_per_second = 1e9}, 4, 3), 3);
  EXPECT_EQ(predicted_ns({.flops_per_second = 2e9}, 4, 1e9), 2);
  EXPECT_EQ(predicted_ns({}, 4, 4), 0);
}

TEST(BatchShape, SumsTheKeysThatRowsSee) {
  const std::vector<models::SequenceRows> sequences = {
      {.first_row = 0, .rows = 1, .first_position = 9},
      {.first_row = 1, .rows = 3, .first_position = 4}};
  const std::vector<int32_t> ids(4), logits(2);
  const BatchShape shape = shape_of({ids, {}, {}, sequences, logits});
  EXPECT_EQ(shape, (BatchShape{.rows = 4,
                               .sequences = 2,
                               .visible_keys = 10 + 5 + 6 + 7,
                               .context_tokens = 10 + 7,
                               .logit_rows = 2}));
}

}  // namespace
}  // namespace sluice::schedule
