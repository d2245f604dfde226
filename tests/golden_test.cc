// The models against Hugging Face transformers (tests/golden/README.md): logits at every position
// within 1e-3 in f32, greedy tokens equal.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "straight_model.h"
#include "weights/checkpoint.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;

constexpr float kTolerance = 1e-3f;

struct GoldenCase {
  std::string directory;
  std::string config_name;
};

void PrintTo(const GoldenCase& golden, std::ostream* out) {
  *out << fs::path(golden.directory).filename().string() << "/" << golden.config_name;
}

std::vector<GoldenCase> golden_cases() {
  std::vector<GoldenCase> cases;
  for (const auto& entry : fs::directory_iterator(SLUICE_SOURCE_DIR "/tests/golden")) {
    const std::string directory = entry.path().string();
    if (!fs::exists(entry.path() / "golden.json")) continue;
    cases.push_back({directory, "config.json"});
    const Json about = base::parse_json(read_text(directory + "/golden.json")).value();
    if (!about.contains("config_variants")) continue;
    for (const Json& variant : about["config_variants"]) {
      cases.push_back({directory, variant.get<std::string>()});
    }
  }
  std::ranges::sort(cases, {}, &GoldenCase::directory);
  return cases;
}

std::string case_name(const testing::TestParamInfo<GoldenCase>& info) {
  std::string text =
      fs::path(info.param.directory).filename().string() + "_" + info.param.config_name;
  std::ranges::replace_if(text, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return text;
}

// A tensor of golden.safetensors as T.
template <class T>
std::vector<T> golden_tensor(const weights::Checkpoint& golden, const std::string& name) {
  const weights::TensorEntry* entry = golden.find(name);
  if (entry == nullptr) return {};
  std::vector<T> values(static_cast<size_t>(entry->bytes) / sizeof(T));
  std::memcpy(values.data(), golden.files()[0].data().data() + entry->offset,
              static_cast<size_t>(entry->bytes));
  return values;
}

int32_t argmax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

class Golden : public testing::TestWithParam<GoldenCase> {
 protected:
  // Runs one sequence in chunks of `chunk` tokens, then greedily.
  void check_sequence(StraightModel& model, const weights::Checkpoint& golden, int index,
                      int64_t chunk) {
    const std::string suffix = "_" + std::to_string(index);
    const auto prompt = golden_tensor<int32_t>(golden, "input_ids" + suffix);
    const auto logits = golden_tensor<float>(golden, "logits" + suffix);
    const auto positions = golden_tensor<int32_t>(golden, "logit_positions" + suffix);
    const auto greedy = golden_tensor<int32_t>(golden, "greedy" + suffix);
    ASSERT_FALSE(prompt.empty());
    ASSERT_GE(greedy.size(), 64u);
    const auto vocab = static_cast<size_t>(model.config().vocab);
    ASSERT_EQ(logits.size(), positions.size() * vocab);

    model.restart(static_cast<int64_t>(prompt.size()));
    size_t next = 0;
    int32_t token = 0;
    for (size_t first = 0; first < prompt.size(); first += static_cast<size_t>(chunk)) {
      const size_t count = std::min(static_cast<size_t>(chunk), prompt.size() - first);
      const auto got = model.append(std::span(prompt).subspan(first, count));
      for (; next < positions.size() && static_cast<size_t>(positions[next]) < first + count;
           ++next) {
        const size_t row = static_cast<size_t>(positions[next]) - first;
        for (size_t v = 0; v < vocab; ++v) {
          ASSERT_NEAR(got[row * vocab + v], logits[next * vocab + v], kTolerance)
              << "position " << positions[next] << ", token " << v;
        }
      }
      token = argmax(got.last(vocab));
    }
    EXPECT_EQ(next, positions.size());
    const auto greedy_logits = golden_tensor<float>(golden, "greedy_logits" + suffix);
    for (size_t i = 0; i < greedy.size(); ++i) {
      ASSERT_EQ(token, greedy[i]) << "generated token " << i;
      const auto got = model.append({&token, 1});
      for (size_t v = 0; v < vocab && (i + 2) * vocab <= greedy_logits.size(); ++v) {
        ASSERT_NEAR(got[v], greedy_logits[(i + 1) * vocab + v], kTolerance) << "generated " << i;
      }
      token = argmax(got);
    }
  }
};

TEST_P(Golden, LogitsAndGreedyTokens) {
  const auto golden = weights::open_checkpoint(GetParam().directory + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  auto model = StraightModel::load(GetParam().directory, {.config_name = GetParam().config_name});
  ASSERT_TRUE(model.ok()) << model.error().message;
  int sequences = 0;
  for (; golden->find("input_ids_" + std::to_string(sequences)) != nullptr; ++sequences) {
    for (int64_t chunk : {256, 37}) check_sequence(**model, *golden, sequences, chunk);
  }
  EXPECT_GT(sequences, 0);
}

INSTANTIATE_TEST_SUITE_P(Transformers, Golden, testing::ValuesIn(golden_cases()), case_name);

}  // namespace
}  // namespace sluice::tests
