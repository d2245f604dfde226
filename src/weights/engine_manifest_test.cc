#include "weights/engine_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "weights/engine_test_directory.h"

namespace sluice::weights {
namespace {

using ::testing::HasSubstr;

EngineManifest manifest() { return test_manifest({1, 2, 3, 4, 5}); }

std::string error_of(const std::string& text) {
  const auto parsed = parse_engine_manifest(text);
  return parsed ? "read" : parsed.error().message;
}

TEST(EngineManifest, GivesBackWhatItWasMadeOf) {
  EngineManifest original = manifest();
  original.beside = {{"config.json", 2, 7}, {"additional_chat_templates/a.jinja", 0, 0}};
  const auto parsed = parse_engine_manifest(engine_manifest_text(original));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, original);

  original.config = nullptr;
  original.names = "gguf";
  original.gguf_tensors = {{"output.weight", {10, 125}}};
  const auto gguf = parse_engine_manifest(engine_manifest_text(original));
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_EQ(*gguf, original);
}

TEST(EngineManifest, FindsThePageOfAnExpert) {
  EngineExperts experts{.page_bytes = 4096, .runs = {{0, 8192, 2}, {1, 0, 3}}};
  experts.crc32c.resize(5);
  EXPECT_EQ(page_run_of(experts, 0), (PageRun{0, 8192, 1}));
  EXPECT_EQ(page_run_of(experts, 1), (PageRun{0, 12288, 1}));
  EXPECT_EQ(page_run_of(experts, 2), (PageRun{1, 0, 1}));
  EXPECT_EQ(page_run_of(experts, 4), (PageRun{1, 8192, 1}));
}

TEST(EngineManifest, AnotherVersionIsToldFirst) {
  Json json = base::parse_json(engine_manifest_text(manifest())).value();
  json["version"] = 2;
  json.erase("tensors");
  const auto parsed = parse_engine_manifest(base::to_line(json));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(parsed.error().message, HasSubstr("version 2"));
}

TEST(EngineManifest, WhatDoesNotFitTogetherIsRefusedByName) {
  struct Case {
    const char* error;
    std::function<void(Json&)> edit;
  };
  const std::vector<Case> cases = {
      {"'format' is missing", [](Json& j) { j.erase("format"); }},
      {"'format' is not that of", [](Json& j) { j["format"] = "another"; }},
      {"'quantization' is 3", [](Json& j) { j["quantization"] = 3; }},
      {"'fingerprint' is missing", [](Json& j) { j["source"].erase("fingerprint"); }},
      {"'names' is 'other'", [](Json& j) { j["names"] = "other"; }},
      {"'config' belongs", [](Json& j) { j["names"] = "gguf"; }},
      {"'config' belongs", [](Json& j) { j.erase("config"); }},
      {"is called '../../etc/passwd'", [](Json& j) { j["files"][0]["name"] = "../../etc/passwd"; }},
      {"'../x'", [](Json& j) { j["beside"] = {{{"name", "../x"}, {"bytes", 1}, {"crc32c", 1}}}; }},
      {"'/x'", [](Json& j) { j["beside"] = {{{"name", "/x"}, {"bytes", 1}, {"crc32c", 1}}}; }},
      {"'a/b/c'",
       [](Json& j) { j["beside"] = {{{"name", "a/b/c"}, {"bytes", 1}, {"crc32c", 1}}}; }},
      {"tensor 'norm': 'dtype' is 'q9'", [](Json& j) { j["tensors"][0]["dtype"] = "q9"; }},
      {"tensor 'norm' has a layout", [](Json& j) { j["tensors"][0]["layout"] = 1; }},
      {"tensor 'norm': 'layout' is 2", [](Json& j) { j["tensors"][0]["layout"] = 2; }},
      {"tensor 'norm': 'dims'", [](Json& j) { j["tensors"][0]["dims"] = {0}; }},
      {"tensor 'norm': 'crc32c'", [](Json& j) { j["tensors"][0]["crc32c"] = int64_t{1} << 32; }},
      {"tensor 'norm' stands twice", [](Json& j) { j["tensors"][1]["name"] = "norm"; }},
      {"tensor 'norm' lies in file 9", [](Json& j) { j["tensors"][0]["file"] = 9; }},
      {"tensor 'norm' begins at byte 7", [](Json& j) { j["tensors"][0]["offset"] = 7; }},
      {"tensor 'head' takes", [](Json& j) { j["tensors"][1]["bytes"] = int64_t{1} << 40; }},
      {"tensor 'head' overlaps tensor 'norm'", [](Json& j) { j["tensors"][0]["bytes"] = 5000; }},
      {"a run of pages of layer 0 overlaps tensor 'head'",
       [](Json& j) { j["experts"][0]["runs"][0]["offset"] = 8192; }},
      {"a run of pages of layer 0 takes",
       [](Json& j) { j["experts"][0]["runs"][2]["offset"] = int64_t{1} << 40; }},
      {"3 by their checksums and 4", [](Json& j) { j["experts"][0]["runs"][0]["pages"] = 2; }},
      {"parts do not follow", [](Json& j) { j["experts"][0]["up_offset"] = 4096; }},
      {"parts do not follow", [](Json& j) { j["experts"][0]["page_bytes"] = 8193; }},
      {"stand twice or out of order", [](Json& j) { j["experts"].push_back(j["experts"][0]); }},
      {"'runs' is not a list", [](Json& j) { j["experts"][0]["runs"] = 4; }},
  };
  for (const Case& each : cases) {
    Json json = base::parse_json(engine_manifest_text(manifest())).value();
    each.edit(json);
    EXPECT_THAT(error_of(base::to_line(json)), HasSubstr(each.error));
  }
  EXPECT_THAT(error_of("{"), HasSubstr("not JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("'format' is missing"));
}

}  // namespace
}  // namespace sluice::weights
