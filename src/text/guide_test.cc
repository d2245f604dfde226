#include "text/guide.h"

#include <gtest/gtest.h>

#include <ctime>

#include "text/testdata.h"

namespace sluice::text {
namespace {

using Kind = GuideSpec::Kind;

struct Rig {
  const Tokenizer& tokenizer = testdata::tokenizer("byte_level");
  int32_t eos = tokenizer.token_to_id("<|im_end|>");
  int32_t vocab_size = tokenizer.vocab_size() + 37;  // a padded head
  GuideFactory factory = *GuideFactory::make(tokenizer, vocab_size, std::vector<int32_t>{eos});

  Guide guide(Kind kind, const std::string& source, bool flexible = true) const {
    GuideSpec spec{.kind = kind, .source = source, .whitespace_flexible = flexible};
    auto made = factory.guide(spec);
    SLUICE_CHECK(made.ok(), made.ok() ? "" : made.error().message.c_str());
    return std::move(*made);
  }

  std::vector<uint32_t> mask(Guide& guide) const {
    std::vector<uint32_t> words(factory.mask_words());
    EXPECT_TRUE(guide.mask(words).ok());
    return words;
  }

  // Whether `text` can be said token by token, and be whole at its end.
  bool says(Guide guide, const std::string& text) const {
    const auto ids = *tokenizer.encode(text, false);
    for (const int32_t id : ids) {
      const auto words = mask(guide);
      const bool allowed = (words[id / 32] >> (id % 32)) & 1;
      EXPECT_EQ(guide.accept(id).ok(), allowed) << text << " at " << tokenizer.id_to_token(id);
      if (!allowed) return false;
    }
    const auto words = mask(guide);
    EXPECT_EQ((words[eos / 32] >> (eos % 32)) & 1, guide.is_complete() ? 1u : 0u);
    return guide.is_complete();
  }
};

const char kPerson[] =
    R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},)"
    R"("required":["name","age"],"additionalProperties":false})";

TEST(Guide, JsonObject) {
  const Rig rig;
  const Guide guide = rig.guide(Kind::kJsonObject, "");
  EXPECT_TRUE(rig.says(guide, R"({"a": [1, 2.5, null], "b": {"c": "😀"}})"));
  EXPECT_TRUE(rig.says(guide, "{}"));
  EXPECT_FALSE(rig.says(guide, "[1]"));
  EXPECT_FALSE(rig.says(guide, "{"));
  EXPECT_FALSE(rig.says(guide, "Sure: {}"));
}

TEST(Guide, JsonSchema) {
  const Rig rig;
  const Guide guide = rig.guide(Kind::kJsonSchema, kPerson);
  EXPECT_TRUE(rig.says(guide, R"({"name": "Ada", "age": 36})"));
  EXPECT_TRUE(rig.says(guide, "{\n  \"name\":\"Ada\",\n  \"age\":36}"));
  EXPECT_FALSE(rig.says(guide, R"({"name": "Ada"})"));
  EXPECT_FALSE(rig.says(guide, R"({"name": "Ada", "age": "old"})"));
  EXPECT_FALSE(rig.says(guide, R"({"name": "Ada", "age": 36, "x": 1})"));
}

TEST(Guide, StrictWhitespaceTakesOneSpelling) {
  const Rig rig;
  const Guide guide = rig.guide(Kind::kJsonSchema, kPerson, false);
  EXPECT_TRUE(rig.says(guide, R"({"name": "Ada", "age": 36})"));
  EXPECT_FALSE(rig.says(guide, R"({"name":"Ada","age":36})"));
  EXPECT_FALSE(rig.says(guide, "{\n\"name\": \"Ada\", \"age\": 36}"));
}

TEST(Guide, SchemasMayReferToThemselves) {
  const Rig rig;
  const Guide guide = rig.guide(
      Kind::kJsonSchema,
      R"({"$defs":{"n":{"type":"object","properties":{"v":{"enum":[1,2]},"next":{"anyOf":)"
      R"([{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"],)"
      R"("additionalProperties":false}},"$ref":"#/$defs/n"})");
  EXPECT_TRUE(rig.says(guide, R"({"v": 1, "next": {"v": 2, "next": null}})"));
  EXPECT_FALSE(rig.says(guide, R"({"v": 3, "next": null})"));
}

TEST(Guide, Regex) {
  const Rig rig;
  const Guide guide = rig.guide(Kind::kRegex, R"((\d{4})-(\d{2})-(\d{2}))");
  EXPECT_TRUE(rig.says(guide, "2025-03-09"));
  EXPECT_FALSE(rig.says(guide, "2025-3-09"));
  EXPECT_FALSE(rig.says(guide, "2025-03-0"));
  EXPECT_TRUE(rig.says(rig.guide(Kind::kRegex, "a/b|ü+"), "a/b"));
  EXPECT_TRUE(rig.says(rig.guide(Kind::kRegex, "a/b|ü+"), "üü"));
}

TEST(Guide, Choice) {
  const Rig rig;
  const GuideSpec spec{.kind = Kind::kChoice, .choices = {"yes", "no", "it's \"so\" / \\ 😀"}};
  const Guide guide = *rig.factory.guide(spec);
  EXPECT_TRUE(rig.says(guide, "yes"));
  EXPECT_TRUE(rig.says(guide, "no"));
  EXPECT_TRUE(rig.says(guide, "it's \"so\" / \\ 😀"));
  EXPECT_FALSE(rig.says(guide, "maybe"));
  EXPECT_FALSE(rig.says(guide, "ye"));
  EXPECT_FALSE(rig.factory.guide({.kind = Kind::kChoice}).ok());
  EXPECT_FALSE(rig.factory.guide({.kind = Kind::kChoice, .choices = {""}}).ok());
}

TEST(Guide, EndsAloneAndAfterTheEndNothing) {
  const Rig rig;
  Guide guide = *rig.factory.guide({.kind = Kind::kChoice, .choices = {"yes"}});
  EXPECT_FALSE(guide.accept(rig.eos).ok());
  guide = *rig.factory.guide({.kind = Kind::kChoice, .choices = {"yes"}});
  const auto ids = *rig.tokenizer.encode("yes", false);
  for (const int32_t id : ids) ASSERT_TRUE(guide.accept(id).ok());
  auto words = rig.mask(guide);
  for (int32_t id = 0; id < rig.vocab_size; ++id) {
    EXPECT_EQ((words[id / 32] >> (id % 32)) & 1, id == rig.eos ? 1u : 0u) << id;
  }
  EXPECT_TRUE(guide.accept(rig.eos).ok());
  EXPECT_TRUE(guide.is_complete());
  EXPECT_FALSE(guide.accept(ids[0]).ok());
}

TEST(Guide, PaddedAndNegativeIdsAreNeverAllowed) {
  const Rig rig;
  Guide guide = rig.guide(Kind::kRegex, "(.|\\n)*");
  const auto words = rig.mask(guide);
  for (int32_t id = rig.tokenizer.vocab_size(); id < rig.vocab_size; ++id) {
    EXPECT_EQ((words[id / 32] >> (id % 32)) & 1, 0u) << id;
  }
  EXPECT_FALSE(guide.accept(-1).ok());
  EXPECT_FALSE(guide.accept(rig.vocab_size + 5).ok());
  std::vector<uint32_t> small(1);
  EXPECT_FALSE(guide.mask(small).ok());
}

TEST(Guide, CopiesGoTheirOwnWay) {
  const Rig rig;
  Guide first = *rig.factory.guide({.kind = Kind::kChoice, .choices = {"0", "1"}});
  Guide second = first;
  EXPECT_TRUE(first.accept(rig.tokenizer.encode("0", false)->front()).ok());
  EXPECT_TRUE(second.accept(rig.tokenizer.encode("1", false)->front()).ok());
  EXPECT_TRUE(first.is_complete() && second.is_complete());
}

TEST(Guide, HostileSpecsAreErrorsInTime) {
  const Rig rig;
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += R"({"type":"array","items":)";
  std::string wide = R"({"enum":[)";
  for (int i = 0; i < 20000; ++i) wide += "\"v" + std::to_string(i * 7919) + "\",";
  wide += "0]}";
  const std::vector<GuideSpec> hostile = {
      {.kind = Kind::kJsonSchema, .source = deep},
      {.kind = Kind::kJsonSchema, .source = "{"},
      {.kind = Kind::kJsonSchema, .source = "[]"},
      {.kind = Kind::kJsonSchema, .source = R"({"$ref":"#/nowhere"})"},
      {.kind = Kind::kJsonSchema, .source = R"({"$ref":"http://example.com/x.json"})"},
      {.kind = Kind::kJsonSchema, .source = R"({"type":"magic"})"},
      {.kind = Kind::kJsonSchema, .source = R"({"type":"string","minLength":3,"maxLength":1})"},
      {.kind = Kind::kRegex, .source = "(unclosed"},
      {.kind = Kind::kRegex, .source = "(a{1,1000}){1,1000}(b{1,1000}){1,1000}c{1000000}"},
      {.kind = Kind::kRegex, .source = "a\\"},
      {.kind = Kind::kRegex, .source = std::string(2 << 20, 'a')},
      {.kind = Kind::kRegex, .source = std::string(200000, '(')},
      {.kind = Kind::kLark, .source = "start: start start"},
      {.kind = Kind::kLark, .source = "begin: \"a\""},
  };
  for (const GuideSpec& spec : hostile) {
    // The processor's time, for others may be using the machine.
    const std::clock_t start = std::clock();
    auto made = rig.factory.guide(spec);
    bool refused = !made.ok();
    // What compiles must still answer for a few steps, or fail by its step's limits.
    std::vector<uint32_t> words(rig.factory.mask_words());
    for (int step = 0; !refused && step < 20; ++step) {
      refused =
          !made->mask(words).ok() || !made->accept(rig.tokenizer.encode("a", false)->front()).ok();
    }
    // A huge counted regex is built lazily: it may answer, if it does so in time.
    EXPECT_TRUE(refused || spec.source[0] == '(') << spec.source.substr(0, 100);
    EXPECT_LT((std::clock() - start) / CLOCKS_PER_SEC, 15) << spec.source.substr(0, 100);
  }
}

TEST(Guide, FactoriesCheckTheirInput) {
  const Tokenizer& tokenizer = testdata::tokenizer("byte_level");
  const auto make = [&](int32_t vocab, std::vector<int32_t> eos) {
    return GuideFactory::make(tokenizer, vocab, eos).ok();
  };
  EXPECT_TRUE(make(tokenizer.vocab_size(), {0, 1}));
  EXPECT_FALSE(make(tokenizer.vocab_size() - 1, {0}));
  EXPECT_FALSE(make(tokenizer.vocab_size(), {}));
  EXPECT_FALSE(make(tokenizer.vocab_size(), {-1}));
  EXPECT_FALSE(make(tokenizer.vocab_size(), {tokenizer.vocab_size()}));
  EXPECT_FALSE(make(0, {0}));
  EXPECT_FALSE(make(2'000'000'000, {0}));
}

}  // namespace
}  // namespace sluice::text
