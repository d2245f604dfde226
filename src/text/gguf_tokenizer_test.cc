#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "text/chat_template.h"
#include "text/gguf_fixture.h"
#include "text/held_bytes.h"
#include "text/tokenizer.h"

namespace sluice::text {
namespace {

using testdata::GgufFixture;

std::string path_of(const std::string& name) {
  return std::string(SLUICE_SOURCE_DIR) + "/src/text/testdata/gguf/" + name + ".json";
}

class GgufTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(GgufTokenizer, MatchesHuggingFaceTokenizers) {
  const GgufFixture fixture(path_of(GetParam()));
  const auto tokenizer = Tokenizer::from_gguf(fixture.vocabulary);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  ASSERT_GT(fixture.texts.size(), 250u);
  for (size_t i = 0; i < fixture.texts.size(); ++i) {
    const std::string& text = fixture.texts[i];
    EXPECT_EQ(*tokenizer->encode(text, false), fixture.ids[i]) << text;
    std::vector<int32_t> around = fixture.before;
    around.insert(around.end(), fixture.ids[i].begin(), fixture.ids[i].end());
    around.insert(around.end(), fixture.after.begin(), fixture.after.end());
    EXPECT_EQ(*tokenizer->encode(text, true), around) << text;
    EXPECT_EQ(*tokenizer->decode(fixture.ids[i], false), fixture.decoded[i]) << text;
    EXPECT_EQ(*tokenizer->decode(fixture.ids[i], true), fixture.decoded_skipping[i]) << text;
  }
  for (const auto& [ids, decoded, skipping] : fixture.random) {
    EXPECT_EQ(*tokenizer->decode(ids, false), decoded);
    EXPECT_EQ(*tokenizer->decode(ids, true), skipping);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, GgufTokenizer,
                         testing::Values("llama-bpe", "smaug-bpe", "tekken", "qwen2", "olmo",
                                         "gpt-2", "smollm", "deepseek-coder", "llama",
                                         "llama_unprefixed", "mistral"),
                         [](const auto& kind) {
                           std::string name = kind.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(GgufTokenizerNames, OtherNamesOfTheSameRules) {
  const std::pair<const char*, const char*> same[] = {{"llama3", "llama-bpe"},
                                                      {"llama-v3", "llama-bpe"},
                                                      {"dbrx", "smaug-bpe"},
                                                      {"starcoder", "smollm"},
                                                      {"refact", "smollm"}};
  for (const auto& [name, like] : same) {
    GgufFixture fixture(path_of(like));
    fixture.vocabulary.pre = name;
    const auto tokenizer = Tokenizer::from_gguf(fixture.vocabulary);
    ASSERT_TRUE(tokenizer.ok()) << name;
    for (size_t i = 0; i < fixture.texts.size(); ++i) {
      EXPECT_EQ(*tokenizer->encode(fixture.texts[i], false), fixture.ids[i]) << name;
    }
  }
}

TEST(GgufTokenizerNames, DeepseekLlmCutsLettersOfCasedScriptsFromOthers) {
  GgufFixture fixture(path_of("deepseek-coder"));
  fixture.vocabulary.pre = "deepseek-llm";
  const auto tokenizer = Tokenizer::from_gguf(fixture.vocabulary);
  ASSERT_TRUE(tokenizer.ok());
  for (size_t i = 0; i < fixture.texts.size(); ++i) {
    const auto ids = tokenizer->encode(fixture.texts[i], false);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(*tokenizer->decode(*ids, false), fixture.texts[i]);
  }
}

TEST(GgufTokenizerParts, FillersAreNoTokens) {
  const GgufFixture fixture(path_of("qwen2"));
  const Tokenizer tokenizer = *Tokenizer::from_gguf(fixture.vocabulary);
  const auto size = static_cast<int32_t>(fixture.vocabulary.tokens.size());
  EXPECT_EQ(tokenizer.vocab_size(), size - 2);
  EXPECT_EQ(tokenizer.token_to_id(fixture.vocabulary.tokens.back()), -1);
  EXPECT_EQ(tokenizer.token_bytes(size - 1), "");
}

TEST(GgufTokenizerParts, TypesMakeSpecialTokens) {
  const GgufFixture fixture(path_of("llama-bpe"));
  const Tokenizer tokenizer = *Tokenizer::from_gguf(fixture.vocabulary);
  EXPECT_EQ(tokenizer.special_ids().size(), 3u);
  EXPECT_TRUE(tokenizer.is_special(*fixture.vocabulary.bos));
  EXPECT_FALSE(tokenizer.is_special(tokenizer.token_to_id("<tool_call>")));
}

TEST(GgufTokenizerParts, WithoutCachedWordsATokenizerLeavesNothingBehind) {
  for (const char* kind : {"qwen2", "llama"}) {
    const GgufFixture fixture(path_of(kind));
    const auto left_with = [&](size_t cached_words) {
      return testdata::left_by_each(50, [&] {
        const auto tokenizer =
            Tokenizer::from_gguf(fixture.vocabulary, {.cached_words = cached_words});
        for (size_t i = 0; i < fixture.texts.size(); ++i)
          EXPECT_EQ(*tokenizer->encode(fixture.texts[i], false), fixture.ids[i]);
      });
    };
    EXPECT_LT(left_with(0), 8'000) << kind;
    // If this fails, the library takes its words along, and cached_words may go.
    EXPECT_GT(left_with(1000), 50'000) << kind;
  }
}

// Every test changes one thing of a vocabulary that is read.
struct Refusal {
  const char* what;
  const char* kind;
  std::function<void(GgufVocabulary&)> change;
  ErrorCode code;
  const char* says;
};

const Refusal kRefusals[] = {
    {"an unknown model", "qwen2", [](auto& v) { v.model = "t5"; }, ErrorCode::kUnsupported, "'t5'"},
    {"an unknown pre-tokenizer", "qwen2", [](auto& v) { v.pre = "bloom"; }, ErrorCode::kUnsupported,
     "'bloom'"},
    {"no pre-tokenizer", "qwen2", [](auto& v) { v.pre = ""; }, ErrorCode::kUnsupported,
     "tokenizer.ggml.pre"},
    {"the default pre-tokenizer", "qwen2", [](auto& v) { v.pre = "default"; },
     ErrorCode::kUnsupported, "tokenizer.ggml.pre"},
    {"no tokens", "qwen2",
     [](auto& v) {
       v = GgufVocabulary();
       v.model = "gpt2";
       v.pre = "qwen2";
     },
     ErrorCode::kInvalid, "no tokens"},
    {"a token twice", "qwen2", [](auto& v) { v.tokens[7] = v.tokens[300]; }, ErrorCode::kInvalid,
     "tokens 7 and 300"},
    {"a token that is not UTF-8", "qwen2", [](auto& v) { v.tokens[5] = "a\xE2\x82"; },
     ErrorCode::kInvalid, "token 5 is not UTF-8 at byte 1"},
    {"a name that is not UTF-8", "qwen2", [](auto& v) { v.pre = "\xFF"; }, ErrorCode::kInvalid,
     "pre-tokenizer's name is not UTF-8"},
    {"a type too few", "qwen2", [](auto& v) { v.token_types.pop_back(); }, ErrorCode::kInvalid,
     "908 tokens and 907 token types"},
    {"a type that is none", "qwen2", [](auto& v) { v.token_types[3] = 7; }, ErrorCode::kInvalid,
     "token 3 has type 7"},
    {"a merge of one token", "qwen2", [](auto& v) { v.merges[2] = "ab"; }, ErrorCode::kInvalid,
     "merge 2"},
    {"a merge of unknown tokens", "qwen2", [](auto& v) { v.merges[2] = "a \xE2\x82\xAC"; },
     ErrorCode::kInvalid, "merge 2, \"a \xE2\x82\xAC\", needs \"\xE2\x82\xAC\""},
    {"a merge into no token", "qwen2", [](auto& v) { v.merges[2] = "Z Z"; }, ErrorCode::kInvalid,
     "needs \"ZZ\""},
    {"a merge that is not UTF-8", "qwen2", [](auto& v) { v.merges[9] = "\xC3 a"; },
     ErrorCode::kInvalid, "merge 9 is not UTF-8"},
    {"a bos past the end", "qwen2", [](auto& v) { v.bos = 908; }, ErrorCode::kInvalid,
     "bos_token_id is 908, the vocabulary has 908 tokens"},
    {"a negative eos", "qwen2", [](auto& v) { v.eos = -1; }, ErrorCode::kInvalid,
     "eos_token_id is -1"},
    {"an unused eos", "qwen2", [](auto& v) { v.eos = 907; }, ErrorCode::kInvalid, "unused"},
    {"a bos that is wanted and missing", "llama-bpe", [](auto& v) { v.bos.reset(); },
     ErrorCode::kInvalid, "bos_token_id is missing"},
    {"no scores", "llama", [](auto& v) { v.scores.clear(); }, ErrorCode::kInvalid,
     "1001 tokens and 0 scores"},
    {"a score that is no number", "llama", [](auto& v) { v.scores[4] = std::nanf(""); },
     ErrorCode::kInvalid, "score of token 4"},
    {"extra whitespace removed", "llama", [](auto& v) { v.remove_extra_whitespaces = true; },
     ErrorCode::kUnsupported, "remove_extra_whitespaces"},
};

TEST(GgufTokenizerRefuses, WithASentenceThatNamesWhat) {
  for (const Refusal& refusal : kRefusals) {
    GgufFixture fixture(path_of(refusal.kind));
    refusal.change(fixture.vocabulary);
    const auto made = Tokenizer::from_gguf(fixture.vocabulary);
    ASSERT_FALSE(made.ok()) << refusal.what;
    EXPECT_EQ(made.error().code, refusal.code) << refusal.what;
    EXPECT_NE(made.error().message.find(refusal.says), std::string::npos)
        << refusal.what << ": " << made.error().message;
  }
}

TEST(GgufTokenizerRefuses, WhatPassesALimit) {
  const std::pair<const char*, std::function<void(TokenizerLimits&)>> limits[] = {
      {"vocab_ids", [](auto& l) { l.vocab_ids = 100; }},
      {"merges", [](auto& l) { l.merges = 100; }},
      {"token_bytes", [](auto& l) { l.token_bytes = 4; }},
      {"vocabulary_bytes", [](auto& l) { l.vocabulary_bytes = 1000; }},
  };
  for (const char* kind : {"llama-bpe", "llama"}) {
    const GgufFixture fixture(path_of(kind));
    for (const auto& [name, lower] : limits) {
      TokenizerLimits limit;
      lower(limit);
      const auto made = Tokenizer::from_gguf(fixture.vocabulary, limit);
      ASSERT_FALSE(made.ok()) << kind << " " << name;
      EXPECT_NE(made.error().message.find(name), std::string::npos) << made.error().message;
    }
  }
}

TEST(GgufChatTemplate, KnowsTheTokensOfTheVocabulary) {
  GgufFixture fixture(path_of("llama"));
  GgufVocabulary& vocabulary = fixture.vocabulary;
  EXPECT_EQ(ChatTemplate::from_gguf(vocabulary).error().code, ErrorCode::kNotFound);
  vocabulary.chat_template = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}";
  vocabulary.named_chat_templates["tool_use"] = "{{ unk_token }}{{ tools | length }}";
  const auto chat = ChatTemplate::from_gguf(vocabulary);
  ASSERT_TRUE(chat.ok()) << chat.error().message;
  const char* messages = R"([{"role": "user", "content": "hi"}])";
  EXPECT_EQ(*chat->render(messages, {}), "<s>hi</s>");
  ChatOptions options;
  options.tools_json = R"([{"type": "function"}])";
  EXPECT_EQ(*chat->render(messages, options), "<unk>1");
  vocabulary.pad = 2000;
  EXPECT_TRUE(ChatTemplate::from_gguf(vocabulary).ok());
  vocabulary.eos = 2000;
  EXPECT_NE(ChatTemplate::from_gguf(vocabulary).error().message.find("eos_token has id 2000"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::text
