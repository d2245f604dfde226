// layer_stream and expert_fetch: which pages are read when, and that every page claimed is
// released.
#include "schedule/paged_experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule/expert_fetch.h"
#include "schedule/layer_stream.h"
#include "schedule/rolling_graph.h"

namespace sluice::schedule {
namespace {

using models::StageKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A dense layer between two of four experts, top-1.
class PagedSchedules : public ::testing::Test {
 protected:
  PagedSchedules() {
    models::LayerConfig moe;
    moe.attention.q_heads = 2;
    moe.attention.kv_heads = 2;
    moe.attention.head_dim = 8;
    moe.ffn = {.inter = 32, .experts = 4, .top_k = 1};
    models::LayerConfig dense = moe;
    dense.ffn = {.inter = 64};
    config_.layers = {moe, dense, moe};
    config_.hidden = 16;
    config_.vocab = 64;
    plan_.logit_rows = 8;
    plan_.policy.batch = plan_.policy.micro_batch = 64;
    context_.model = &config_;
    context_.plan = &plan_;
    context_.micro_batch = 1;
    context_.iteration = 7;
    context_.residency = {.experts = levels_,
                          .order = order_,
                          .share = share_,
                          .page_bytes = page_bytes_,
                          .experts_per_layer = 4};
    set_rows(64);
  }

  void set_rows(int64_t rows) {
    context_.batch = {.rows = rows,
                      .sequences = rows,
                      .visible_keys = rows,
                      .context_tokens = rows,
                      .logit_rows = rows};
    plan_.logit_rows = rows;
  }

  static std::vector<PageId> reads(const Subgraph& g) {
    std::vector<PageId> pages;
    for (const Task& task : g.tasks) {
      if (task.lane == Lane::kDisk) pages.push_back(task.transfer()->pages.first);
    }
    return pages;
  }
  // Of each expert group: its positions, and the pages that it releases.
  static std::vector<std::string> groups(const Subgraph& g) {
    std::vector<std::string> all;
    for (const Task& task : g.tasks) {
      if (task.stage() == nullptr || task.stage()->kind != StageKind::kExpertGroup) continue;
      std::string group =
          std::to_string(task.stage()->first) + "+" + std::to_string(task.stage()->count);
      for (const PageRange& page : g.pages_of(task)) group += " p" + std::to_string(page.first);
      all.push_back(group);
    }
    return all;
  }

  static constexpr Level kH = Level::kHost, kD = Level::kDisk;
  models::ModelConfig config_;
  plan::Plan plan_;
  Context context_;
  std::vector<Level> levels_ = {kD, kH, kD, kH, kD, kD, kD, kD, kD, kD, kD, kD};
  std::vector<int16_t> order_ = {1, 3, 0, 2, 0, 1, 2, 3, 0, 1, 2, 3};
  std::vector<float> share_ = {.25, .25, .25, .25, 0, 0, 0, 0, .4F, .4F, .1F, .1F};
  std::vector<int64_t> page_bytes_ = {8192, 0, 4096};
  const std::vector<int32_t> counts_ = {5, 40, 0, 19};
  const LayerStream stream_;
  const ExpertFetch fetch_;
};

// An expert that a fourth of the rows choose: four rows may well do without it, sixteen hardly.
TEST_F(PagedSchedules, CallLikelyWhatTheRoundAsksFor) {
  context_.residency.share = {};
  set_rows(4);
  plan_.policy.batch = plan_.policy.micro_batch = 4;
  EXPECT_FALSE(likely(context_, 0, 0));
  plan_.policy.batch = 16;
  EXPECT_TRUE(likely(context_, 0, 0));
}

TEST_F(PagedSchedules, AreValidPureAndWithinTheirBounds) {
  for (const Builder* builder :
       {static_cast<const Builder*>(&stream_), static_cast<const Builder*>(&fetch_)}) {
    for (int64_t rows : {1, 3, 64, 500}) {
      set_rows(rows);
      const BuilderBounds bounds = builder->bounds(context_);
      Subgraph first, second;
      builder->iteration(context_, first);
      builder->iteration(context_, second);
      EXPECT_EQ(first, second);
      const Status status = validate(first, bounds.iteration);
      EXPECT_TRUE(status.ok()) << status.error().message;
      for (const ExpansionPoint& point : first.expansions) {
        Subgraph e;
        builder->expand(context_, point, {counts_}, e);
        const Status nested = validate(e, point.bounds, true);
        EXPECT_TRUE(nested.ok()) << nested.error().message;
      }
    }
  }
}

TEST_F(PagedSchedules, StreamReadsAheadInTheOrderOfTheLayers) {
  Subgraph g;
  stream_.iteration(context_, g);
  EXPECT_THAT(reads(g), ElementsAre(0, 2, 8, 9, 10, 11));
  for (const Task& task : g.tasks) {
    if (task.lane != Lane::kDisk) continue;
    EXPECT_GE(task.rank, ahead_rank(task.layer, 0));
    EXPECT_LT(task.rank, ahead_rank(task.layer, 4));
    EXPECT_EQ(task.transfer()->bytes, page_bytes_[static_cast<size_t>(task.layer)]);
    EXPECT_EQ(g.signals_of(task).size(), 1u);
  }
  EXPECT_EQ(g.size().bytes, 2 * 8192 + 4 * 4096);
}

TEST_F(PagedSchedules, StreamReadsAheadOnlyWhatWillMostLikelyBeNeeded) {
  set_rows(8);  // 1 - 0.75^8 = 0.90, 1 - 0.6^8 = 0.98, 1 - 0.9^8 = 0.57
  share_[2] = .2F;
  Subgraph g, e;
  stream_.iteration(context_, g);
  EXPECT_THAT(reads(g), ElementsAre(8, 9));
  // Of layer 2 expert 2 is asked for now; expert 1, read in vain, is let go.
  const std::vector<int32_t> counts = {5, 0, 3, 0};
  stream_.expand(context_, g.expansions[1], {counts}, e);
  EXPECT_THAT(reads(e), ElementsAre(10));
  EXPECT_THAT(groups(e), ElementsAre("0+1 p8", "2+1 p10", "1+1 p9"));
}

TEST_F(PagedSchedules, FetchReadsWhatTheRouterChoseMostNeededFirst) {
  Subgraph g, e;
  fetch_.iteration(context_, g);
  EXPECT_THAT(reads(g), IsEmpty());
  const std::vector<int32_t> counts = {2, 40, 19, 3};
  fetch_.expand(context_, g.expansions[0], {counts}, e);
  EXPECT_THAT(reads(e), ElementsAre(2, 0));
  // The kept experts 1 and 3 need no page and come first, as one group.
  EXPECT_THAT(groups(e), ElementsAre("0+2", "3+1 p2", "2+1 p0"));
}

TEST_F(PagedSchedules, HaveNoGroupOfKeptExpertsThatNobodyChose) {
  Subgraph g, e;
  fetch_.iteration(context_, g);
  const std::vector<int32_t> counts = {2, 0, 0, 0};
  fetch_.expand(context_, g.expansions[0], {counts}, e);
  EXPECT_THAT(groups(e), ElementsAre("2+1 p0"));
}

TEST_F(PagedSchedules, CombineAfterEveryGroup) {
  config_.layers[0].ffn.shared_inter = 16;
  Subgraph g, e;
  stream_.iteration(context_, g);
  stream_.expand(context_, g.expansions[0], {counts_}, e);
  const auto count = static_cast<TaskIndex>(e.tasks.size());
  EXPECT_EQ(e.tasks[count - 2].stage()->kind, StageKind::kShared);
  EXPECT_EQ(e.dependencies_of(e.tasks[count - 2]).size(), 4u);  // dispatch and three groups
  EXPECT_EQ(e.tasks[count - 1].stage()->kind, StageKind::kCombine);
  EXPECT_EQ(e.dependencies_of(e.tasks[count - 1]).front(), Dependency::task(count - 2));
}

TEST_F(PagedSchedules, AreTheResidentOneWhereNothingMoves) {
  context_.residency = {};
  Subgraph g, e, resident, resident_layer;
  stream_.iteration(context_, g);
  EXPECT_THAT(reads(g), IsEmpty());
  stream_.expand(context_, g.expansions[0], {counts_}, e);
  EXPECT_THAT(groups(e), ElementsAre("0+4"));
  EXPECT_EQ(e.tasks.size(), 3u);
}

// Driven to its end by hand: each page claimed by a read is released by exactly one group.
TEST_F(PagedSchedules, ReleaseEveryPageThatTheyClaim) {
  for (const Builder* builder :
       {static_cast<const Builder*>(&stream_), static_cast<const Builder*>(&fetch_)}) {
    for (int64_t rows : {1, 8, 64}) {
      set_rows(rows);
      const BuilderBounds bounds = builder->bounds(context_);
      RollingGraph graph({.max_iterations_in_flight = 1,
                          .max_iteration = bounds.total(),
                          .max_expansion = bounds.expansion});
      const uint32_t lanes = 1u << static_cast<unsigned>(Lane::kHostCompute) |
                             1u << static_cast<unsigned>(Lane::kDisk);
      for (int round = 0; round < 3; ++round) {
        const auto ticket = graph.submit(context_, *builder, 0, lanes);
        ASSERT_TRUE(ticket.ok()) << ticket.error().message;
        std::vector<int> claims(12, 0);
        while (!graph.ended(*ticket)) {
          TaskRef ref;
          bool any = false;
          for (Lane lane : {Lane::kDisk, Lane::kHostCompute}) {
            while (graph.take(lane, ref)) {
              any = true;
              const Task task = graph.task(ref);
              if (task.transfer() != nullptr) ++claims[task.transfer()->pages.first];
              for (const PageRange& page : graph.graph(ref).pages_of(task)) {
                EXPECT_GT(claims[page.first], 0) << "used before it was read";
                --claims[page.first];
              }
              graph.complete(ref, {counts_});
            }
          }
          ASSERT_TRUE(any) << graph.stalled(*ticket);
        }
        EXPECT_THAT(claims, ::testing::Each(0));
        ASSERT_TRUE(graph.release(*ticket).ok());
        ++context_.iteration;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::schedule
