// Attention on the device: what moves for it, in which order, and that moving ahead never ends with
// everybody waiting for room.
#include "schedule/kv_prefetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

#include "memory/streamed_kv_size.h"
#include "schedule/rolling_graph.h"

namespace sluice::schedule {
namespace {

using models::StageKind;
using ::testing::ElementsAre;

constexpr int kLayers = 4, kExperts = 4;

class KvPrefetchTest : public ::testing::Test {
 protected:
  KvPrefetchTest() {
    models::LayerConfig layer;
    layer.attention.q_heads = 2;
    layer.attention.kv_heads = 1;
    layer.attention.head_dim = 8;
    layer.ffn = {.inter = 32, .experts = kExperts, .top_k = 2};
    config_.layers.assign(kLayers, layer);
    config_.hidden = 16;
    config_.vocab = 64;
    plan_.policy.micro_batch = 8;
    plan_.logit_rows = 8;
    plan_.kv_block_tokens = 16;
    plan_.device_bytes = 1;
    plan_.policy.attention_on = plan_.policy.experts_on = plan::Place::kDevice;
    plan_.policy.batch = 8;
    page_bytes_.assign(kLayers, 4096);
    levels_.assign(kLayers * kExperts, Level::kHost);
    for (int i = 0; i < kLayers * kExperts; ++i) {
      order_.push_back(static_cast<int16_t>(i % kExperts));
    }
  }

  Context context(int micro_batch, int64_t iteration) {
    Context c;
    c.model = &config_;
    c.plan = &plan_;
    c.batch = {.rows = 40,
               .sequences = 8,
               .visible_keys = 900,
               .context_tokens = 300,
               .logit_rows = 8,
               .kv = {.blocks = 20, .arriving_blocks = 18, .leaving_tokens = 40}};
    c.micro_batch = micro_batch;
    c.iteration = iteration;
    c.residency = {.experts = levels_,
                   .order = order_,
                   .share = {},
                   .page_bytes = page_bytes_,
                   .experts_per_layer = kExperts};
    return c;
  }

  static std::vector<TaskIndex> transfers(const Subgraph& g, Payload payload, Lane lane) {
    std::vector<TaskIndex> found;
    for (TaskIndex i = 0; i < g.tasks.size(); ++i) {
      const Transfer* t = g.tasks[i].transfer();
      if (t != nullptr && t->payload == payload && g.tasks[i].lane == lane) found.push_back(i);
    }
    return found;
  }
  static TaskIndex attend(const Subgraph& g, int layer) {
    for (TaskIndex i = 0; i < g.tasks.size(); ++i) {
      const models::Stage* s = g.tasks[i].stage();
      if (s != nullptr && s->kind == StageKind::kAttend && s->layer == layer) return i;
    }
    return kNone;
  }

  models::ModelConfig config_;
  plan::Plan plan_;
  std::vector<int64_t> page_bytes_;
  std::vector<Level> levels_;
  std::vector<int16_t> order_;
  const KvPrefetch kv_prefetch_;
};

TEST_F(KvPrefetchTest, MovesKeysAndValuesAheadAndNewOnesBeside) {
  Subgraph g;
  kv_prefetch_.iteration(context(0, 3), g);
  const auto up = transfers(g, Payload::kKv, Lane::kHostToDevice);
  const auto down = transfers(g, Payload::kKv, Lane::kDeviceToHost);
  ASSERT_EQ(up.size(), static_cast<size_t>(kLayers));
  ASSERT_EQ(down.size(), static_cast<size_t>(kLayers));
  EXPECT_TRUE(transfers(g, Payload::kQkv, Lane::kDeviceToHost).empty());
  for (int layer = 0; layer < kLayers; ++layer) {
    const Task& there = g.tasks[up[static_cast<size_t>(layer)]];
    const Task& home = g.tasks[down[static_cast<size_t>(layer)]];
    EXPECT_EQ(there.layer, layer);
    EXPECT_EQ(there.dependencies.count, 0u);
    EXPECT_EQ(there.transfer()->bytes, 18 * 16 * 2 * 8 * 4);
    EXPECT_EQ(home.transfer()->bytes, 40 * 2 * 8 * 4);
    // Behind everything of the layers below, before the pages of its own.
    EXPECT_LT(there.rank, ahead_rank(layer, 0));
    if (layer > 0) {
      EXPECT_GT(there.rank, ahead_rank(layer - 1, models::kMaxExperts - 1));
    }
    EXPECT_GT(there.rank, asked_rank(models::kMaxLayers - 1));
    const TaskIndex at = attend(g, layer);
    EXPECT_EQ(g.tasks[at].lane, Lane::kDeviceCompute);
    EXPECT_EQ(g.dependencies_of(g.tasks[at]).back(),
              Dependency::task(up[static_cast<size_t>(layer)]));
    EXPECT_THAT(g.dependencies_of(home), ElementsAre(Dependency::task(at)));
    for (const Task& task : g.tasks) {
      for (Dependency d : g.dependencies_of(task)) {
        EXPECT_NE(d, Dependency::task(down[static_cast<size_t>(layer)]))
            << "waits for " << label(home);
      }
    }
  }
}

TEST_F(KvPrefetchTest, MovesNothingWhereAllOfItIsThere) {
  Context c = context(0, 3);
  c.batch.kv = {};
  Subgraph g;
  kv_prefetch_.iteration(c, g);
  EXPECT_TRUE(transfers(g, Payload::kKv, Lane::kHostToDevice).empty());
  EXPECT_TRUE(transfers(g, Payload::kKv, Lane::kDeviceToHost).empty());
  EXPECT_EQ(g.tasks[attend(g, 0)].lane, Lane::kDeviceCompute);
}

TEST_F(KvPrefetchTest, SerialMovesThemInTurn) {
  Subgraph g;
  const Builder& serial = **find("serial");
  const Context c = context(0, 3);
  serial.iteration(c, g);
  EXPECT_TRUE(validate(g, serial.bounds(c).iteration).ok());
  for (TaskIndex i = 1; i < g.tasks.size(); ++i) {
    ASSERT_EQ(g.dependencies_of(g.tasks[i]).size(), 1u);
    EXPECT_EQ(g.dependencies_of(g.tasks[i]).front().index(), i - 1);
  }
  EXPECT_EQ(transfers(g, Payload::kKv, Lane::kHostToDevice).size(), static_cast<size_t>(kLayers));
}

// To a host that attends they come from the disk, over a lane of their own: not before all pages
// ahead of the layers below have found room.
TEST_F(KvPrefetchTest, CgopipeHasThemBetweenHostAndDisk) {
  plan_.policy.attention_on = plan::Place::kHost;
  const Builder& cgopipe = **find("cgopipe");
  Context c = context(0, 3);
  c.batch.kv = {.blocks = 20, .arriving_blocks = 18, .leaving_blocks = 2};
  Subgraph g;
  cgopipe.iteration(c, g);
  ASSERT_TRUE(validate(g, cgopipe.bounds(c).iteration).ok());
  std::vector<TaskIndex> come, go;
  for (const TaskIndex i : transfers(g, Payload::kKv, Lane::kDisk))
    (g.tasks[i].transfer()->to == Level::kHost ? come : go).push_back(i);
  const auto pages = transfers(g, Payload::kWeights, Lane::kHostToDevice);
  ASSERT_EQ(pages.size(), static_cast<size_t>(kLayers * kExperts));
  ASSERT_EQ(come.size(), static_cast<size_t>(kLayers));
  ASSERT_EQ(go.size(), static_cast<size_t>(kLayers));
  for (int layer = 0; layer < kLayers; ++layer) {
    const auto at = static_cast<size_t>(layer);
    const Task& there = g.tasks[come[at]];
    EXPECT_EQ(there.transfer()->bytes, 18 * memory::kDiskKvAlignment);
    EXPECT_EQ(g.tasks[go[at]].transfer()->bytes, 2 * memory::kDiskKvAlignment);
    if (layer == 0) {
      EXPECT_EQ(there.dependencies.count, 0u);
    } else {
      EXPECT_THAT(g.dependencies_of(there),
                  ElementsAre(Dependency::task(pages[at * kExperts - 1])));
    }
    const TaskIndex attends = attend(g, layer);
    EXPECT_EQ(g.tasks[attends].lane, Lane::kHostCompute);
    EXPECT_EQ(g.dependencies_of(g.tasks[attends]).back(), Dependency::task(come[at]));
    EXPECT_THAT(g.dependencies_of(g.tasks[go[at]]), ElementsAre(Dependency::task(attends)));
  }
  // In turn: each task behind the one before.
  Subgraph one_by_one;
  const Builder& serial = **find("serial");
  serial.iteration(c, one_by_one);
  EXPECT_TRUE(validate(one_by_one, serial.bounds(c).iteration).ok());
  EXPECT_EQ(transfers(one_by_one, Payload::kKv, Lane::kDisk).size(), 2u * kLayers);
  for (TaskIndex i = 1; i < one_by_one.tasks.size(); ++i) {
    ASSERT_EQ(one_by_one.dependencies_of(one_by_one.tasks[i]).size(), 1u);
    EXPECT_EQ(one_by_one.dependencies_of(one_by_one.tasks[i]).front().index(), i - 1);
  }
}

// What memory allows: slots for pages, as WeightPages gives them out, and two windows.
struct Room {
  int slots = 0, reserved = 1, windows = 2;
  std::map<PageId, int> claims;
  bool any_page = false;

  bool start(const Task& task) {
    const Transfer& t = *task.transfer();
    if (t.payload == Payload::kKv && t.to == Level::kDisk) return true;
    if (t.payload == Payload::kKv) return windows > 0 && windows-- > 0;
    if (t.payload != Payload::kWeights) return true;
    const PageId page = t.pages.first;
    if (!claims.contains(page) &&
        std::ssize(claims) + (t.urgency == Urgency::kAhead ? reserved : 0) >= slots)
      return false;
    ++claims[page];
    return any_page = true;
  }
  void end(const Task& task, std::span<const PageRange> pages) {
    const Transfer* t = task.transfer();
    const bool leaves = t != nullptr && t->payload == Payload::kKv &&
                        (t->from == Level::kDevice || t->to == Level::kDisk);
    windows += leaves;
    for (const PageRange& range : pages) {
      if (--claims[range.first] == 0) claims.erase(range.first);
    }
  }
};

// Lanes take turns at random; a lane whose first task finds no room does nothing else. Some
// iteration must always go on, whenever the next one is handed in.
TEST_F(KvPrefetchTest, NeverWaitsForRoomForEver) {
  std::mt19937 random(11);
  const auto draw = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  for (int round = 0; round < 200; ++round) {
    const int micro_batches = 1 + draw(4);
    Room room{.slots = 2 + draw(5)};
    // Of cgopipe keys and values come from the disk, over a lane of their own.
    const Builder& builder =
        draw(3) > 0 ? static_cast<const Builder&>(kv_prefetch_) : **find("cgopipe");
    Context most = context(0, 0);
    most.batch.kv.arriving_blocks = 20;
    most.batch.kv.parts = 4;
    const BuilderBounds bounds = builder.bounds(most);
    RollingGraph graph({.max_iterations_in_flight = micro_batches,
                        .max_iteration = bounds.total(),
                        .max_expansion = bounds.expansion});
    std::vector<Context> contexts;
    std::vector<Ticket> tickets;
    std::vector<int> left(static_cast<size_t>(micro_batches), 3);
    const std::vector<KvPart> parts(static_cast<size_t>(1 + draw(4)),
                                    {.kv = {.arriving_blocks = 5}});
    for (int mb = 0; mb < micro_batches; ++mb) {
      contexts.push_back(context(mb, 0));
      contexts.back().kv_parts = parts;
    }
    tickets.resize(contexts.size());
    int running = 0, idle = 0;
    while (running > 0 || *std::ranges::max_element(left) > 0) {
      ASSERT_LT(idle, 2000) << "round " << round << " stands still";
      ++idle;
      const auto mb = static_cast<size_t>(draw(micro_batches));
      const bool out = graph.live(tickets[mb]);
      if (out && graph.ended(tickets[mb])) {
        ASSERT_TRUE(graph.release(tickets[mb]).ok());
        --running;
      } else if (!out && left[mb] > 0) {
        --left[mb];
        ++contexts[mb].iteration;
        tickets[mb] = graph.submit(contexts[mb], builder, 0, (1u << kLanes) - 1).value();
        ++running;
        idle = 0;
      }
      const std::array lanes = {Lane::kDeviceCompute, Lane::kHostCompute, Lane::kHostToDevice,
                                Lane::kDeviceToHost, Lane::kDisk};
      TaskRef ref;
      if (!graph.take(lanes[static_cast<size_t>(draw(5))], ref)) continue;
      const Task task = graph.task(ref);
      const bool needs_room = task.lane == Lane::kHostToDevice || task.lane == Lane::kDisk;
      if (needs_room && !room.start(task)) {
        graph.give_back(ref);
        continue;
      }
      room.end(task, graph.graph(ref).pages_of(task));
      std::vector<int32_t> counts(kExperts, 0);
      for (int i = 0; i < 4; ++i) counts[static_cast<size_t>(draw(kExperts))] += 20;
      graph.complete(ref, {counts});
      idle = 0;
    }
    EXPECT_TRUE(room.any_page);
    EXPECT_TRUE(room.claims.empty());
    EXPECT_EQ(room.windows, 2);
  }
}

}  // namespace
}  // namespace sluice::schedule
