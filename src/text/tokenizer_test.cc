#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "text/held_bytes.h"
#include "text/testdata.h"

namespace sluice::text {
namespace {

TEST(Tokenizer, MatchesHuggingFaceTokenizers) {
  int encoded = 0;
  for (const auto& golden : testdata::json("tokenizations.json")) {
    const std::string name = golden["tokenizer"];
    const Tokenizer tokenizer = testdata::tokenizer(name);
    const auto ids = golden["ids"].get<std::vector<int32_t>>();
    if (golden.contains("text")) {
      const std::string text = golden["text"];
      const auto got = tokenizer.encode(text, golden["add_special_tokens"]);
      ASSERT_TRUE(got.ok()) << name << " " << text;
      EXPECT_EQ(*got, ids) << name << " " << text;
      ++encoded;
    }
    EXPECT_EQ(*tokenizer.decode(ids, false), golden["decoded"].get<std::string>()) << golden;
    EXPECT_EQ(*tokenizer.decode(ids, true), golden["decoded_skipping"].get<std::string>())
        << golden;
  }
  EXPECT_GT(encoded, 300);
}

TEST(Tokenizer, LeavesOutTruncationThatTheFileAsksFor) {
  const auto ids = testdata::tokenizer("byte_level").encode(std::string(500, 'q'), false);
  EXPECT_GT(ids->size(), 8u);
}

TEST(Tokenizer, TokenBytesJoinedAreTheText) {
  const std::string text = "x😀 Grüße, 日本\n don't";
  for (const char* name : {"byte_level", "byte_fallback"}) {
    const Tokenizer tokenizer = testdata::tokenizer(name);
    std::string joined;
    const auto ids = *tokenizer.encode(text, false);
    for (const int32_t id : ids) joined += tokenizer.token_bytes(id);
    // SentencePiece's dummy prefix is part of the first token.
    EXPECT_EQ(joined, (name == std::string("byte_fallback") ? " " : "") + text);
  }
}

TEST(Tokenizer, EveryByteHasItsToken) {
  for (const char* name : {"byte_level", "byte_fallback"}) {
    const Tokenizer tokenizer = testdata::tokenizer(name);
    std::vector<int> seen(256, 0);
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
      const std::string bytes = tokenizer.token_bytes(id);
      if (bytes.size() == 1) ++seen[static_cast<unsigned char>(bytes[0])];
    }
    for (int byte = 0; byte < 256; ++byte) EXPECT_GE(seen[byte], 1) << name << " " << byte;
  }
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = testdata::tokenizer("byte_level");
  const int32_t end = tokenizer.token_to_id("<|im_end|>");
  ASSERT_GE(end, 0);
  EXPECT_TRUE(tokenizer.is_special(end));
  EXPECT_EQ(tokenizer.id_to_token(end), "<|im_end|>");
  EXPECT_EQ(tokenizer.token_bytes(end), "<|im_end|>");
  EXPECT_FALSE(tokenizer.is_special(tokenizer.token_to_id("<tool_call>")));
  EXPECT_EQ(tokenizer.special_ids().size(), 3u);
  EXPECT_EQ(tokenizer.token_to_id("no such token"), -1);
  EXPECT_EQ(tokenizer.vocab_size(), tokenizer.token_to_id("<tool_call>") + 1);
}

TEST(Tokenizer, UnknownIdsAreEmptyAndNegativeOnesRefused) {
  const Tokenizer tokenizer = testdata::tokenizer("byte_level");
  const int32_t beyond = tokenizer.vocab_size();
  EXPECT_EQ(*tokenizer.decode(std::vector<int32_t>{beyond, 1 << 30}, false), "");
  EXPECT_EQ(tokenizer.token_bytes(beyond), "");
  EXPECT_EQ(tokenizer.id_to_token(-1), "");
  const auto refused = tokenizer.decode(std::vector<int32_t>{1, -5}, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("-5 at position 1"), std::string::npos);
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  const auto refused = testdata::tokenizer("byte_level").encode("ab\xE2\x82", false);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("byte 2"), std::string::npos);
}

TEST(Tokenizer, LimitsHaveNames) {
  TokenizerLimits limits;
  limits.prompt_bytes = 10;
  const std::string json = testdata::read("tokenizers/byte_level.json");
  const auto tokenizer = Tokenizer::from_json(json, limits);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_TRUE(tokenizer->encode("0123456789", false).ok());
  EXPECT_NE(tokenizer->encode("0123456789a", false).error().message.find("prompt_bytes"),
            std::string::npos);
  limits.json_bytes = 100;
  EXPECT_NE(Tokenizer::from_json(json, limits).error().message.find("json_bytes"),
            std::string::npos);
  limits = {};
  limits.vocab_ids = 100;
  EXPECT_NE(Tokenizer::from_json(json, limits).error().message.find("100"), std::string::npos);
}

TEST(Tokenizer, WithoutCachedWordsLeavesNextToNothingBehind) {
  for (const char* name : {"byte_level", "byte_fallback"}) {
    const std::string json = testdata::read(std::string("tokenizers/") + name + ".json");
    const std::string text = "Words that a thread remembers: one, two, three, and a number, 1234.";
    const auto expected = *testdata::tokenizer(name).encode(text, true);
    const int64_t left = testdata::left_by_each(500, [&] {
      const auto tokenizer = Tokenizer::from_json(json, {.cached_words = 0});
      EXPECT_EQ(*tokenizer->encode(text, true), expected);
    });
    EXPECT_LT(left, 800) << name;  // the library keeps an empty table for each
  }
}

TEST(Tokenizer, HostileFilesAreErrors) {
  const std::string deep = std::string(100000, '[');
  const std::string huge_id =
      R"({"version":"1.0","added_tokens":[{"id":4294967295,"content":"x","special":true,)"
      R"("single_word":false,"lstrip":false,"rstrip":false,"normalized":false}],)"
      R"("model":{"type":"BPE","vocab":{"a":0},"merges":[]}})";
  const std::string empty = R"({"model":{"type":"BPE","vocab":{},"merges":[]}})";
  for (const std::string& json :
       {std::string(), std::string("{}"), std::string("null"), std::string("[1]"), deep, huge_id,
        empty, std::string("{\"model\":{\"type\":\"Magic\"}}"), std::string("\xff\xfe")}) {
    const auto refused = Tokenizer::from_json(json);
    EXPECT_FALSE(refused.ok()) << json.substr(0, 80);
  }
  EXPECT_EQ(Tokenizer::from_directory("/nonexistent").error().code, ErrorCode::kNotFound);
}

TEST(Tokenizer, RefusesAPostProcessorOfUndefinedTokens) {
  const auto refused = Tokenizer::from_json(
      R"({"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":{"a":0},"merges":[]},)"
      R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":)"
      R"({"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],)"
      R"("special_tokens":{}}})");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("cannot encode any text"), std::string::npos)
      << refused.error().message;
}

TEST(Tokenizer, ThreadsMayShareOne) {
  const Tokenizer tokenizer = testdata::tokenizer("byte_level");
  const auto expected = *tokenizer.encode("The gate opens 1234 😀", true);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        wrong[t] += *tokenizer.encode("The gate opens 1234 😀", true) != expected;
        wrong[t] += tokenizer.decode(expected, false)->size() != 24;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace sluice::text
