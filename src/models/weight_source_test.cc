// Pages of experts, and checkpoints as a source of them.
#include "models/weight_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "io/faults.h"
#include "models/load_tensor.h"
#include "models/read_ahead.h"
#include "models/source_cases.h"
#include "weights/test_files.h"

namespace sluice::models {
namespace {

using tensor::DType;
using ::testing::HasSubstr;

TEST(ExpertPage, PartsFollowEachOtherAndThePageIsWholeSectors) {
  const ExpertPage page = expert_page(96, 40, DType::kBF16, DType::kBF16, DType::kF32);
  // 40 rows are three panels of 16; 96 are six.
  EXPECT_EQ(page.up_offset, 48 * 96 * 2);
  EXPECT_EQ(page.down_offset, 2 * page.up_offset);
  const int64_t end = page.down_offset + 96 * 40 * 4;
  EXPECT_EQ(page.bytes, (end + 4095) / 4096 * 4096);
  const std::vector<std::byte> bytes(static_cast<size_t>(page.bytes));
  const FfnWeights expert = expert_at(page, bytes.data());
  EXPECT_EQ(expert.gate.data, bytes.data());
  EXPECT_EQ(expert.up.data, bytes.data() + page.up_offset);
  EXPECT_EQ(expert.down.data, bytes.data() + page.down_offset);
  EXPECT_EQ(expert.up.rows, 40);
  EXPECT_EQ(expert.up.cols, 96);
  EXPECT_EQ(expert.down.rows, 96);
  EXPECT_EQ(expert.down.cols, 40);
  EXPECT_EQ(expert.down.dtype, DType::kF32);
  EXPECT_EQ(page, expert_page(96, 40, DType::kBF16, DType::kBF16, DType::kF32));
}

TEST(ReadAhead, AsksForEachOnceAtLeastOneAheadAndNoFurtherThanItMay) {
  const int64_t mib = int64_t{1} << 20;
  ReadAhead ahead({100 * mib, 130 * mib, 160 * mib, 200 * mib, 400 * mib});
  std::vector<size_t> asked;
  const auto reach = [&](size_t at) {
    ahead.reach(at, [&](size_t next) { asked.push_back(next); });
    return asked;
  };
  EXPECT_EQ(reach(0), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(reach(1), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(reach(2), (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_EQ(reach(3), (std::vector<size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(reach(4), (std::vector<size_t>{0, 1, 2, 3, 4}));
  asked.clear();
  EXPECT_EQ(reach(3), (std::vector<size_t>{}));
  EXPECT_EQ(reach(0), (std::vector<size_t>{0, 1, 2}));
}

// A page is its expert's three tensors as read() gives them, zeros between and behind.
void expect_pages_are_tensors(const std::string& model, const char* quant) {
  Case c = open_case(model, quant);
  WeightSource& source = *c.source;
  ASSERT_TRUE(source.check_pages().ok());
  base::ThreadTeam team(2);
  for (size_t i = 0; i < source.table().size(); ++i) {
    const TensorSlot& gate = source.table()[i];
    if (!gate.is_expert() || gate.slot != Slot::kGate) continue;
    const ExpertPage page = source.page(gate.layer);
    const auto alone = page_bytes(source, gate.layer, gate.expert, nullptr);
    EXPECT_EQ(alone, page_bytes(source, gate.layer, gate.expert, &team));
    std::vector<std::byte> expected(static_cast<size_t>(page.bytes));
    const int64_t offsets[] = {0, page.up_offset, page.down_offset};
    for (size_t part = 0; part < 3; ++part) {
      const auto bytes = tensor_bytes(source, i + part, team);
      std::ranges::copy(bytes, expected.begin() + offsets[part]);
    }
    ASSERT_EQ(alone, expected) << model << " " << quant << ", layer " << gate.layer << ", expert "
                               << gate.expert;
  }
  EXPECT_FALSE(source.page_at(0, 0));
  EXPECT_TRUE(source.files().empty());
}

TEST(CheckpointSource, PagesAreTheTensorsOneBehindTheOther) {
  for (const char* quant : {"none", "q8", "q4"})
    expect_pages_are_tensors("mixtral_top2_of_4", quant);
  expect_pages_are_tensors("qwen3_moe_norm", "none");
  expect_pages_are_tensors("mixtral_fused", "none");
}

TEST(CheckpointSource, LoadingGivesWhatReadingGives) {
  for (const char* quant : {"none", "q8", "q4"}) {
    SCOPED_TRACE(quant);
    expect_load_gives_what_read_gives(*open_case("mixtral_top2_of_4", quant).source);
  }
  for (const char* model : {"qwen3_moe_norm", "mixtral_fused", "llama_bias", "llama_mqa_tied"}) {
    SCOPED_TRACE(model);
    expect_load_gives_what_read_gives(*open_case(model, "none").source);
  }
}

TEST(CheckpointSource, LoadingOutlivesShortReadsAndSaysWhatFails) {
  const Case c = open_case("mixtral_top2_of_4", "q8");
  const auto load = [&](const io::Fault& fault) {
    io::ListedFaults faults;
    faults.add({.file = 0, .offset = 8192, .fault = fault, .uses = 3});
    return Loaded(*c.source, true, {.from_page_cache = false, .faults = &faults});
  };
  const Loaded good(*c.source, true, {});
  const Loaded shortened = load({.most_bytes = 4096});
  ASSERT_TRUE(shortened.status.ok()) << shortened.status.error().message;
  for (size_t i = 0; i < good.wanted.size(); ++i) {
    const auto bytes = bytes_in_memory(c.source->table()[i], c.source->dtype(i));
    ASSERT_TRUE(
        std::equal(good.wanted[i].into, good.wanted[i].into + bytes, shortened.wanted[i].into));
  }
  const Loaded failed = load({.error = EIO});
  ASSERT_FALSE(failed.status.ok());
  EXPECT_EQ(failed.status.error().code, ErrorCode::kIo);
  EXPECT_THAT(failed.status.error().message, HasSubstr("model.safetensors"));
}

class MixedExperts : public weights::WeightsDirectory {};

TEST_F(MixedExperts, ExpertsOfSeveralTypesHaveNoPagesUnlessQuantized) {
  // Two experts in safetensors: the second in another type than the first.
  const ModelConfig config = one_moe_layer();
  write("model.safetensors", mixed_safetensors(config));
  const auto checkpoint = weights::open_checkpoint(directory_);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const auto mixed = checkpoint_source(config, kMixtral, *checkpoint);
  ASSERT_TRUE(mixed) << mixed.error().message;
  const Status status = (*mixed)->check_pages();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("experts.1.w1.weight' would be packed as bf16"));
  const auto q8 = checkpoint_source(config, kMixtral, *checkpoint, *parse_quantization("q8"));
  ASSERT_TRUE(q8) << q8.error().message;
  EXPECT_TRUE((*q8)->check_pages().ok());
}

}  // namespace
}  // namespace sluice::models
