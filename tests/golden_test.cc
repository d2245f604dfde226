// The models against Hugging Face transformers (tests/golden/README.md): logits at every position
// within 1e-3 in f32, greedy tokens equal.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "golden_sequences.h"

namespace sluice::tests {
namespace {

namespace fs = std::filesystem;

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

class Golden : public testing::TestWithParam<GoldenCase> {};

TEST_P(Golden, LogitsAndGreedyTokens) {
  const auto golden = weights::open_checkpoint(GetParam().directory + "/golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  // transformers keeps keys and values in f32 here; rounded ones would be another model's.
  auto model = StraightModel::load(GetParam().directory, {.kv_dtype = kernels::KvDType::kF32,
                                                          .config_name = GetParam().config_name});
  ASSERT_TRUE(model.ok()) << model.error().message;
  check_sequences(**model, *golden);
}

INSTANTIATE_TEST_SUITE_P(Transformers, Golden, testing::ValuesIn(golden_cases()), case_name);

}  // namespace
}  // namespace sluice::tests
