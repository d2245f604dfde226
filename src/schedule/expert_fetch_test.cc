// What expert_fetch guesses: when, how much of it, and that nothing is behind it.
#include "schedule/expert_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/rolling_graph.h"

namespace sluice::schedule {
namespace {

using models::StageKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// An MoE layer, a dense one, and two MoE layers, of four experts, top-2.
class Guesses : public ::testing::Test {
 protected:
  Guesses() {
    models::LayerConfig moe;
    moe.attention = {.q_heads = 2, .kv_heads = 2, .head_dim = 8};
    moe.ffn = {.inter = 32, .experts = 4, .top_k = 2};
    models::LayerConfig dense = moe;
    dense.ffn = {.inter = 64};
    config_.layers = {moe, dense, moe, moe};
    config_.hidden = 16;
    config_.vocab = 64;
    plan_.logit_rows = 8;
    plan_.moving_slots = 3;
    plan_.policy.guess_experts = true;
    levels_[14] = Level::kHost;
    context_.model = &config_;
    context_.plan = &plan_;
    context_.batch = {.rows = 2, .sequences = 2, .logit_rows = 2};
    context_.residency = {
        .experts = levels_, .share = share_, .page_bytes = page_bytes_, .experts_per_layer = 4};
  }

  Subgraph iteration() const {
    Subgraph g;
    fetch_.iteration(context_, g);
    return g;
  }
  Subgraph expand(const ExpansionPoint& point, const std::vector<int32_t>& points) const {
    Subgraph e;
    fetch_.expand(context_, point, {points}, e);
    return e;
  }
  static std::vector<ExpansionPoint> guesses(const Subgraph& g) {
    std::vector<ExpansionPoint> all;
    for (const ExpansionPoint& point : g.expansions) {
      if (point.guess) all.push_back(point);
    }
    return all;
  }
  static std::vector<std::string> labels(const Subgraph& g) {
    std::vector<std::string> all;
    for (const Task& task : g.tasks) all.push_back(label(task));
    return all;
  }

  models::ModelConfig config_;
  plan::Plan plan_;
  Context context_;
  std::vector<Level> levels_ = std::vector<Level>(16, Level::kDisk);
  std::vector<float> share_ = std::vector<float>(16, .25F);
  std::vector<int64_t> page_bytes_ = {8192, 0, 4096, 4096};
  const ExpertFetch fetch_;
};

// Before all else, and only `embed` is behind them.
TEST_F(Guesses, RowsOfTheEmbeddingComeFirst) {
  const Subgraph without = iteration();
  const std::vector<PageId> rows = {40, 7};
  context_.embedding = {.rows = rows, .row_bytes = 4096};
  plan_.embedding_rows = 8;
  const Subgraph g = iteration();
  ASSERT_EQ(g.tasks.size(), without.tasks.size() + 2);
  EXPECT_EQ(labels(g)[0], "row disk>host mb0 p40");
  EXPECT_EQ(labels(g)[1], "row disk>host mb0 p7");
  EXPECT_EQ(g.tasks[0].lane, Lane::kDisk);
  EXPECT_EQ(g.tasks[0].transfer()->bytes, 4096);
  EXPECT_LT(g.tasks[0].rank, asked_rank(0));
  const Task& embed = g.tasks[2];
  ASSERT_EQ(embed.stage()->kind, StageKind::kEmbed);
  const auto after = g.dependencies_of(embed);
  EXPECT_EQ(std::vector(after.begin(), after.end()),
            (std::vector{Dependency::task(0), Dependency::task(1)}));
  const Bounds bounds = fetch_.bounds(context_).iteration;
  EXPECT_TRUE(validate(g, bounds).ok()) << validate(g, bounds).error().message;
  EXPECT_TRUE(g.size().within(bounds)) << to_string(bounds);
}

TEST_F(Guesses, FollowARouterAndNothingFollowsThem) {
  const Subgraph g = iteration();
  const auto points = guesses(g);
  ASSERT_EQ(points.size(), 3u);
  for (const ExpansionPoint& point : points) {
    const Task& guess = g.tasks[point.task];
    EXPECT_EQ(guess.stage()->kind, StageKind::kGuess);
    ASSERT_EQ(g.dependencies_of(guess).size(), 1u);
    // The router itself, not what it expands to: the guess comes before the experts.
    const Dependency after = g.dependencies_of(guess).front();
    EXPECT_FALSE(after.after_expansion());
    EXPECT_EQ(g.tasks[after.index()].stage()->kind,
              guess.layer == 0 ? StageKind::kEmbed : StageKind::kRoute);
    EXPECT_EQ(g.tasks[after.index()].layer, guess.layer - 1);
    for (const Dependency& dependency : g.dependencies)
      EXPECT_NE(dependency.index(), point.task) << "something waits for a guess";
  }
}

TEST_F(Guesses, ReadWhatIsLikeliestAndNotThere) {
  const auto points = guesses(iteration());
  // Expert 2 of layer 3 is kept, 1 is not among the guesses.
  const Subgraph e = expand(points[2], {1, 0, 4, 3});
  EXPECT_THAT(labels(e), ElementsAre("L03 weights guess disk>host mb0 p15",
                                     "L03 weights guess disk>host mb0 p12"));
  EXPECT_THAT(e.waits, IsEmpty());
  EXPECT_THAT(e.signals, IsEmpty());
  EXPECT_THAT(e.pages, IsEmpty());
  EXPECT_THAT(e.dependencies, IsEmpty());
}

TEST_F(Guesses, AreNoMoreThanTheSlotsThatPagesPassThrough) {
  const auto points = guesses(iteration());
  const Subgraph e = expand(points[1], {1, 2, 1, 2});
  EXPECT_THAT(labels(e), ElementsAre("L02 weights guess disk>host mb0 p9",
                                     "L02 weights guess disk>host mb0 p11",
                                     "L02 weights guess disk>host mb0 p8"));
  EXPECT_TRUE(validate(e, points[1].bounds, true).ok());
}

// In doubt, or after a failure: residency states no share.
TEST_F(Guesses, LeaveAloneWhatMustNotMoveBeforeItIsAskedFor) {
  share_[9] = share_[11] = 0;
  EXPECT_THAT(labels(expand(guesses(iteration())[1], {0, 2, 1, 2})),
              ElementsAre("L02 weights guess disk>host mb0 p10"));
}

TEST_F(Guesses, ComeBehindAllThatMoves) {
  EXPECT_GT(guess_rank(0), asked_rank(models::kMaxLayers - 1));
  EXPECT_GT(guess_rank(0), ahead_rank(models::kMaxLayers - 1, models::kMaxExperts - 1));
  RollingGraph graph({.max_iterations_in_flight = 1,
                      .max_iteration = fetch_.bounds(context_).total(),
                      .max_expansion = fetch_.bounds(context_).expansion});
  ASSERT_TRUE(graph.submit(context_, fetch_, 0, ~0u).ok());
  TaskRef ref;
  const std::vector<int32_t> counts = {1, 1, 1, 1};
  bool guessed = false;
  while (!guessed) {
    ASSERT_TRUE(graph.take(Lane::kHostCompute, ref));
    while (graph.ready(Lane::kDisk) > 0) {  // of layers before
      TaskRef read;
      graph.take(Lane::kDisk, read);
      graph.complete(read, {});
    }
    // The router of layer 2 has just asked for all four; their reads stay where they are.
    if (graph.task(ref).stage()->kind == StageKind::kRoute && graph.task(ref).layer == 2) {
      graph.complete(ref, {counts});
      ASSERT_TRUE(graph.take(Lane::kHostCompute, ref));
      ASSERT_EQ(graph.task(ref).stage()->kind, StageKind::kGuess);
      guessed = true;
    }
    graph.complete(ref, {counts});
  }
  EXPECT_EQ(graph.ready(Lane::kDisk), 4u + 3u);
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(graph.take(Lane::kDisk, ref));
    EXPECT_EQ(graph.task(ref).transfer()->urgency, i < 4 ? Urgency::kNeeded : Urgency::kGuess);
  }
}

TEST_F(Guesses, AreMadeWhereTheyWereAskedForAndPay) {
  context_.batch.rows = models::kMaxGuessRows + 1;
  EXPECT_THAT(guesses(iteration()), IsEmpty());
  context_.batch.rows = models::kMaxGuessRows;
  EXPECT_EQ(guesses(iteration()).size(), 3u);
  plan_.policy.guess_experts = false;
  EXPECT_THAT(guesses(iteration()), IsEmpty());
  plan_.policy.guess_experts = true;
  context_.residency = {};
  EXPECT_THAT(guesses(iteration()), IsEmpty());
}

TEST_F(Guesses, KeepTheirBounds) {
  for (const int64_t rows : {1, 16, 17, 200}) {
    context_.batch.rows = rows;
    const BuilderBounds bounds = fetch_.bounds(context_);
    const Subgraph g = iteration();
    const Status status = validate(g, bounds.iteration);
    EXPECT_TRUE(status.ok()) << status.error().message;
    for (const ExpansionPoint& point : g.expansions) {
      EXPECT_TRUE(point.bounds.within(bounds.expansion));
      EXPECT_TRUE(validate(expand(point, {2, 2, 2, 2}), point.bounds, true).ok());
    }
  }
}

// As in a replay, which knows no hidden state.
TEST_F(Guesses, AreNothingWhereNoneWasMade) {
  for (const ExpansionPoint& point : guesses(iteration())) {
    EXPECT_THAT(expand(point, {}).tasks, IsEmpty());
  }
}

}  // namespace
}  // namespace sluice::schedule
