// Whole models of every block format: a GGUF file of random blocks against the same file with the
// blocks' values in F32.
//
// Both have the same weights to the bit, so they differ by how activations are rounded: products
// with blocks read them in 8 bits. A value's error is uniform over a step, which is the largest of
// 32 neighbours over 127; the largest of 32 normal values is seldom beyond 3.5 deviations. So the
// input of a product carries an error of kRounding of its size at most, and with random weights so
// does the output. What the layers make of such errors a third file shows: the values in F32 again,
// each off by kRounding of itself at random, which puts the same error on every product's output.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>

#include "engine_runs.h"
#include "gguf_keys.h"
#include "kernels/block_cases.h"
#include "straight_model.h"
#include "tensor/block.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;
using tensor::DType;
using weights::GgufTestFile;

constexpr int64_t kHidden = 256, kInter = 512, kVocab = 128, kLayers = 2, kExperts = 3;
constexpr int64_t kHeads = 4, kKvHeads = 2, kHeadDim = 64;
const double kRounding = 3.5 / 127 / std::sqrt(12);
constexpr size_t kPrompt = 80, kTokens = 84;  // enough for every way of tiling tokens

// Which type a matrix of this name is stored as.
using TypeOf = std::function<DType(const std::string&)>;

// Every expert takes every token: with a choice among them, a token to which two are nearly equal
// would take another one when its activations are rounded.
Json config_of(bool experts) {
  Json config = {{"hidden_size", kHidden},
                 {"intermediate_size", kInter},
                 {"num_hidden_layers", kLayers},
                 {"num_attention_heads", kHeads},
                 {"num_key_value_heads", kKvHeads},
                 {"head_dim", kHeadDim},
                 {"max_position_embeddings", 512},
                 {"rms_norm_eps", 1e-6},
                 {"rope_theta", 10000.0},
                 {"eos_token_id", 1},
                 {"vocab_size", kVocab}};
  config["architectures"] = Json::array({experts ? "Qwen3MoeForCausalLM" : "LlamaForCausalLM"});
  if (experts) {
    config["num_experts"] = kExperts;
    config["num_experts_per_tok"] = kExperts;
    config["moe_intermediate_size"] = kInter;
    config["norm_topk_prob"] = true;
  }
  return config;
}

// The three files of one model.
class Files {
 public:
  Files(bool experts, const TypeOf& type_of) : type_of_(type_of), random_(11) {
    for (GgufTestFile* file : {&blocks_, &floats_, &disturbed_})
      write_gguf_keys(config_of(experts), *file);
    matrix("token_embd.weight", {kVocab, kHidden});
    matrix("output.weight", {kVocab, kHidden});
    vector("output_norm.weight", {kHidden});
    for (int layer = 0; layer < kLayers; ++layer) add_layer(experts, layer);
  }
  const GgufTestFile& blocks() const { return blocks_; }
  const GgufTestFile& floats() const { return floats_; }
  const GgufTestFile& disturbed() const { return disturbed_; }

 private:
  void add_layer(bool experts, int layer) {
    const std::string at = "blk." + std::to_string(layer) + ".";
    vector(at + "attn_norm.weight", {kHidden});
    vector(at + "ffn_norm.weight", {kHidden});
    matrix(at + "attn_q.weight", {kHeads * kHeadDim, kHidden});
    matrix(at + "attn_k.weight", {kKvHeads * kHeadDim, kHidden});
    matrix(at + "attn_v.weight", {kKvHeads * kHeadDim, kHidden});
    matrix(at + "attn_output.weight", {kHidden, kHeads * kHeadDim});
    if (!experts) {
      matrix(at + "ffn_gate.weight", {kInter, kHidden});
      matrix(at + "ffn_up.weight", {kInter, kHidden});
      return matrix(at + "ffn_down.weight", {kHidden, kInter});
    }
    vector(at + "attn_q_norm.weight", {kHeadDim});
    vector(at + "attn_k_norm.weight", {kHeadDim});
    vector(at + "ffn_gate_inp.weight", {kExperts, kHidden});
    matrix(at + "ffn_gate_exps.weight", {kExperts, kInter, kHidden});
    matrix(at + "ffn_up_exps.weight", {kExperts, kInter, kHidden});
    matrix(at + "ffn_down_exps.weight", {kExperts, kHidden, kInter});
  }

  // Norms and the router: F32 in all files.
  void vector(const std::string& name, const std::vector<int64_t>& dims) {
    const int64_t elements =
        std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
    std::string bytes;
    for (int64_t i = 0; i < elements; ++i)
      bytes += weights::little_endian_bytes(1.0f + random_.normal(0.2f));
    for (GgufTestFile* file : {&blocks_, &floats_, &disturbed_})
      file->tensor(name, dims, gguf_number(DType::kF32), bytes);
  }

  void matrix(const std::string& name, const std::vector<int64_t>& dims) {
    const int64_t cols = dims.back();
    const int64_t rows =
        std::accumulate(dims.begin(), dims.end() - 1, int64_t{1}, std::multiplies<>());
    const DType dtype = type_of_(name);
    const auto from = [&](const std::byte* stored) {
      std::vector<float> values(static_cast<size_t>(rows * cols));
      tensor::dequantize(dtype, stored, rows * cols, values.data());
      const auto size = static_cast<size_t>(tensor::storage_bytes(dtype, rows * cols));
      blocks_.tensor(name, dims, gguf_number(dtype), {reinterpret_cast<const char*>(stored), size});
      put_floats(floats_, name, dims, values);
      for (float& value : values) value *= 1.0f + noise_.normal(static_cast<float>(kRounding));
      put_floats(disturbed_, name, dims, values);
    };
    if (tensor::is_block_format(dtype)) {
      from(kernels::RandomBlocks(dtype, rows, cols, random_).row(0));
    } else {
      from(kernels::RandomMatrix(dtype, rows, cols, random_).source().data);
    }
  }

  static void put_floats(GgufTestFile& file, const std::string& name,
                         const std::vector<int64_t>& dims, const std::vector<float>& values) {
    file.tensor(name, dims, gguf_number(DType::kF32),
                {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }

  TypeOf type_of_;
  kernels::Random random_, noise_{12};
  GgufTestFile blocks_, floats_, disturbed_;
};

std::vector<int32_t> tokens() {
  kernels::Random random(3);
  std::vector<int32_t> ids(kTokens);
  for (int32_t& id : ids) id = static_cast<int32_t>(random.below(kVocab));
  return ids;
}

// The logits of tokens(): the prompt at once, then one by one.
std::vector<float> logits_of(StraightModel& model) {
  const std::vector<int32_t> ids = tokens();
  const std::span<const int32_t> all = ids;
  model.restart(kPrompt);
  const auto prefilled = model.append(all.first(kPrompt));
  std::vector<float> logits(prefilled.begin(), prefilled.end());
  for (size_t i = kPrompt; i < kTokens; ++i) {
    const auto decoded = model.append(all.subspan(i, 1));
    logits.insert(logits.end(), decoded.begin(), decoded.end());
  }
  return logits;
}

double root_mean_square(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// How far the logits of each position are off, over their size.
std::vector<double> errors_of(const std::vector<float>& got, const std::vector<float>& exact) {
  EXPECT_EQ(got.size(), kTokens * kVocab);
  EXPECT_EQ(exact.size(), kTokens * kVocab);
  std::vector<double> errors;
  for (size_t t = 0; t < kTokens; ++t) {
    std::vector<double> sizes, differences;
    for (size_t i = t * kVocab; i < (t + 1) * kVocab; ++i) {
      sizes.push_back(double{exact[i]});
      differences.push_back(double{got[i]} - double{exact[i]});
    }
    errors.push_back(root_mean_square(differences) / root_mean_square(sizes));
  }
  return errors;
}

class GgufBlockModels : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ranges::replace(name, '/', '_');
    folder_ = fs::temp_directory_path() / ("sluice_blocks_" + name + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const GgufTestFile& file) {
    const std::string path = folder_ / name;
    const std::string bytes = file.write();
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
    return path;
  }

  std::unique_ptr<StraightModel> load(const std::string& path) {
    auto model = StraightModel::load(path, {.threads = 2, .context = 128});
    EXPECT_TRUE(model.ok()) << model.error().message;
    return model.ok() ? std::move(*model) : nullptr;
  }

  void check(bool experts, const TypeOf& type_of) {
    const Files files(experts, type_of);
    const auto blocks = load(write("blocks.gguf", files.blocks()));
    const auto floats = load(write("floats.gguf", files.floats()));
    const auto disturbed = load(write("disturbed.gguf", files.disturbed()));
    ASSERT_TRUE(blocks && floats && disturbed);
    EXPECT_EQ(blocks->context().weights->layers[1].q.dtype, type_of("blk.1.attn_q.weight"));
    const std::vector<float> exact = logits_of(*floats);
    const std::vector<double> errors = errors_of(logits_of(*blocks), exact);
    const double expected = root_mean_square(errors_of(logits_of(*disturbed), exact));
    const double found = root_mean_square(errors);
    EXPECT_GT(found, 0) << "no activation was rounded: these products read no blocks";
    EXPECT_LT(found, expected);
    // Of a single position, whose error may be a few times the mean.
    EXPECT_LT(std::ranges::max(errors), 5 * expected);
    RecordProperty("found", std::to_string(found));
    RecordProperty("largest", std::to_string(std::ranges::max(errors)));
    RecordProperty("expected", std::to_string(expected));
  }

  fs::path folder_;
};

TEST_P(GgufBlockModels, DenseModelsGiveWhatTheirValuesGive) {
  check(false, [](const std::string&) { return GetParam(); });
}

TEST_P(GgufBlockModels, ExpertsGiveWhatTheirValuesGive) {
  check(true, [](const std::string&) { return GetParam(); });
}

INSTANTIATE_TEST_SUITE_P(Formats, GgufBlockModels, testing::ValuesIn(kernels::block_formats()),
                         kernels::format_name);

// As the recipes that are named for a mixture make them, and beyond: gate, up and down of an expert
// of different types, other ones in the second layer, blocks beside floats.
DType mixed(const std::string& name) {
  const bool second = name.starts_with("blk.1.");
  const auto is = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (is("ffn_gate")) return second ? DType::kIQ4_XS : DType::kQ4_K;
  if (is("ffn_up")) return second ? DType::kF16 : DType::kQ5_K;
  if (is("ffn_down")) return second ? DType::kQ3_K : DType::kQ6_K;
  if (is("attn_q")) return second ? DType::kQ5_1 : DType::kQ2_K;
  if (is("attn_k")) return second ? DType::kBF16 : DType::kQ4_1;
  if (is("attn_v")) return DType::kQ8_0;
  if (is("attn_output")) return second ? DType::kMXFP4 : DType::kIQ4_NL;
  return is("token_embd") ? DType::kQ5_0 : DType::kQ6_K;
}

class GgufMixedModels : public GgufBlockModels {};

TEST_F(GgufMixedModels, DenseModelsGiveWhatTheirValuesGive) { check(false, mixed); }

TEST_F(GgufMixedModels, ExpertsGiveWhatTheirValuesGive) { check(true, mixed); }

TEST_F(GgufMixedModels, TheEngineChoosesTheTokensOfTheseLogits) {
  const std::string path = write("mixed.gguf", Files(true, mixed).blocks());
  const auto straight = load(path);
  ASSERT_TRUE(straight);
  std::vector<int32_t> prompt = tokens();
  prompt.resize(kPrompt);
  std::vector<engine::Request> requests(3);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].id = i + 1;
    requests[i].prompt = prompt;
    requests[i].sampling.temperature = 0;
    requests[i].sampling.ignore_eos = true;
    requests[i].sampling.max_tokens = 6;
    prompt.pop_back();
  }
  const auto engine = load_engine(
      path, {.max_batch_size = 3, .kv_cache_memory = int64_t{8} << 20, .kv_dtype = "f32"});
  const auto outputs = run_all(*engine, requests);
  for (const engine::Request& request : requests) {
    std::vector<int32_t> expected;
    straight->restart(std::ssize(request.prompt));
    auto logits = straight->append(request.prompt);
    while (expected.size() < 6) {
      const auto last = logits.last(kVocab);
      expected.push_back(
          static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
      logits = straight->append({&expected.back(), 1});
    }
    EXPECT_EQ(outputs.at(request.id).choices.at(0).tokens, expected) << request.id;
  }
}

}  // namespace
}  // namespace sluice::tests
