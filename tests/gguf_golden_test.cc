// Models from GGUF files against Hugging Face transformers: the goldens of tests/golden_test.cc,
// converted as llama.cpp converts them, must give what the directories give.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "engine_runs.h"
#include "gguf_conversion.h"
#include "golden_sequences.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;

// A folder that goes when the test ends.
class GgufGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = test->name();
    std::ranges::replace(name, '/', '_');
    folder_ = fs::temp_directory_path() / ("sluice_gguf_" + name + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void check(const std::string& name, const fs::path& file) {
    const auto golden = weights::open_checkpoint(golden_model(name) + "/golden.safetensors");
    ASSERT_TRUE(golden.ok()) << golden.error().message;
    // transformers keeps keys and values in f32 here; rounded ones would be another model's.
    auto model = StraightModel::load(file.string(), {.kv_dtype = kernels::KvDType::kF32});
    ASSERT_TRUE(model.ok()) << model.error().message;
    check_sequences(**model, *golden);
  }

  fs::path folder_;
};

TEST_P(GgufGolden, LogitsAndGreedyTokens) {
  const fs::path file = folder_ / "model.gguf";
  convert_to_gguf(golden_model(GetParam()), file);
  check(GetParam(), file);
}

// All but those that the format cannot say: dynamic rope, yarn over a range that is no whole
// number, experts in some layers only.
INSTANTIATE_TEST_SUITE_P(Transformers, GgufGolden,
                         testing::Values("llama_bias", "llama_gqa", "llama_long", "llama_mha",
                                         "llama_mqa_tied", "llama_odd", "llama_rope_linear",
                                         "llama_rope_llama3", "llama_rope_yarn",
                                         "llama_rope_yarn_attention_factor", "mixtral_long",
                                         "mixtral_sharded", "mixtral_tied", "mixtral_top2_of_4",
                                         "mixtral_top2_of_8", "olmoe_clip", "olmoe_norm",
                                         "qwen3_moe_norm", "qwen3_moe_raw", "qwen3_moe_yarn"),
                         [](const auto& of) { return std::string(of.param); });

// A file of blocks is what a directory becomes when it is quantized while it is loaded: the same
// bits, of which the goldens cannot speak.
class GgufBlocks : public GgufGolden {};

TEST_P(GgufBlocks, AreTheDirectoryQuantized) {
  const std::string directory = SLUICE_SOURCE_DIR "/examples/demo_model";
  const fs::path file = folder_ / "model.gguf";
  convert_to_gguf(directory, file, models::parse_quantization(GetParam()).value());
  // bf16 says what rows become as well, which a file does not.
  auto blocks = StraightModel::load(file.string(),
                                    {.quant = std::string(GetParam()) == "bf16" ? "bf16" : "none"});
  auto quantized = StraightModel::load(directory, {.quant = GetParam()});
  ASSERT_TRUE(blocks.ok()) << blocks.error().message;
  ASSERT_TRUE(quantized.ok()) << quantized.error().message;
  const std::vector<int32_t> tokens = {1, 5, 300, 17, 42, 900, 6, 77};
  (*blocks)->restart(8);
  (*quantized)->restart(8);
  const auto got = (*blocks)->append(tokens);
  const auto expected = (*quantized)->append(tokens);
  ASSERT_EQ(got.size(), expected.size());
  EXPECT_TRUE(std::ranges::equal(got, expected));
}

INSTANTIATE_TEST_SUITE_P(Formats, GgufBlocks, testing::Values("q8", "q4", "mxfp4", "bf16"),
                         [](const auto& of) { return std::string(of.param); });

class GgufSplitGolden : public GgufGolden {};

TEST_F(GgufSplitGolden, ASplitFileIsTheSameModel) {
  check("mixtral_top2_of_4", convert_to_split_gguf(golden_model("mixtral_top2_of_4"), folder_, 3));
}

TEST_F(GgufSplitGolden, TheEngineRunsAFileAsItRunsADirectory) {
  const std::string directory = golden_model("mixtral_top2_of_4");
  const fs::path file = folder_ / "model.gguf";
  convert_to_gguf(directory, file);
  const engine::EngineOptions options{.max_batch_size = 4, .kv_cache_memory = int64_t{16} << 20};
  const auto from_directory = load_engine(directory, options);
  const auto from_file = load_engine(file.string(), options);
  EXPECT_NE(from_directory->fingerprint(), from_file->fingerprint());
  const int vocab = from_file->config().vocab;
  const auto expected = run_all(*from_directory, mixed_requests(6, vocab, 60, 20));
  const auto got = run_all(*from_file, mixed_requests(6, vocab, 60, 20));
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [id, output] : expected) EXPECT_TRUE(same_answers(got.at(id), output)) << id;
}

}  // namespace
}  // namespace sluice::tests
