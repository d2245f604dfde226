// Where a token embedding lies, and what it takes there.
#include <gtest/gtest.h>

#include "memory/weight_pages.h"
#include "plan/fit_memory.h"
#include "plan/test_model.h"

namespace sluice::plan {
namespace {

FitModel with_embedding(int64_t bytes) {
  return {.weight_bytes = 150 * kMiB,
          .pages = 100,
          .page_bytes = kMiB,
          .expert_bytes = 100 * kMiB,
          .embedding_bytes = bytes,
          .embedding_read_bytes = 8192};
}

// The rows of two micro-batches in flight, and what they are read into.
TEST(FitEmbedding, AnEmbeddingOnDiskMakesRoomForExperts) {
  FitModel model = with_embedding(8 * kMiB);
  FitWishes wishes{.max_batch_size = 4,
                   .micro_batch_size = 2,
                   .max_num_tokens = 32,
                   .max_seq_len = 256,
                   .embedding_on = "host"};
  const FitMachine machine{.available_memory = 100 * kMiB};
  const auto table = fit_plan(small(), model, wishes, machine);
  ASSERT_TRUE(table.ok()) << table.error().message;
  EXPECT_EQ(table->embedding_rows, 0);
  wishes.embedding_on = "auto";
  const auto rows = fit_plan(small(), model, wishes, machine);
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  EXPECT_EQ(rows->embedding_rows, 64);
  const int64_t bytes = memory::EmbeddingRows::bytes(embedding_shape(small(), model, *rows));
  EXPECT_GE(bytes, 64 * small().hidden * 4 + memory::kRowReads * 8192);
  EXPECT_LT(bytes, kMiB);
  EXPECT_GT(rows->expert_slots, table->expert_slots);
  EXPECT_EQ(rows->weight_bytes - memory::WeightPages::bytes(rows->expert_slots, model.page_bytes),
            table->weight_bytes -
                memory::WeightPages::bytes(table->expert_slots, model.page_bytes) - 8 * kMiB +
                bytes);
  EXPECT_LE(rows->total_bytes(), 100 * kMiB);
  // A table that is smaller than its rows stays, unless somebody wants it otherwise.
  model.embedding_bytes = 300 << 10;
  EXPECT_EQ(fit_plan(small(), model, wishes, machine)->embedding_rows, 0);
  wishes.embedding_on = "disk";
  EXPECT_EQ(fit_plan(small(), model, wishes, machine)->embedding_rows, 64);
  // Of a head nothing may be missing.
  model.embedding_bytes = 0;
  wishes.embedding_on = "auto";
  EXPECT_EQ(fit_plan(small(), model, wishes, machine)->embedding_rows, 0);
}

TEST(FitEmbedding, SaysWhereAnEmbeddingCannotLie) {
  FitModel model = with_embedding(kMiB);
  const auto said = [&](const FitWishes& wishes, int64_t device) {
    const auto plan =
        fit_plan(small(), model, wishes, {.available_memory = kGiB, .device_memory = device});
    return plan.ok() ? std::string("a plan") : plan.error().message;
  };
  EXPECT_NE(said({.embedding_on = "moon"}, 0).find("'moon'; auto, host or disk"),
            std::string::npos);
  EXPECT_NE(said({.embedding_on = "disk"}, kGiB).find("with a --device"), std::string::npos);
  EXPECT_NE(said({.max_seq_len = 64, .embedding_on = "disk"}, 0).find("this one fits"),
            std::string::npos);
  EXPECT_EQ(said({.max_seq_len = 64, .resident_weights = 0.5, .embedding_on = "disk"}, 0),
            "a plan");
  model.embedding_bytes = 0;
  EXPECT_NE(said({.resident_weights = 0.5, .embedding_on = "disk"}, 0).find("its head too"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::plan
