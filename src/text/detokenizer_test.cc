#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include "text/testdata.h"

namespace sluice::text {
namespace {

// UTF-8 as nlohmann-json checks it.
bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

std::string join(Detokenizer& detokenizer, const std::vector<int32_t>& ids) {
  std::string joined;
  for (const int32_t id : ids) {
    const std::string piece = detokenizer.push(id);
    EXPECT_TRUE(is_utf8(piece)) << "after " << joined;
    joined += piece;
  }
  return joined + detokenizer.finish();
}

TEST(Detokenizer, PiecesJoinedAreTheWholeDecoded) {
  for (const auto& golden : testdata::json("tokenizations.json")) {
    const Tokenizer& tokenizer = testdata::tokenizer(golden["tokenizer"].get<std::string_view>());
    const auto ids = golden["ids"].get<std::vector<int32_t>>();
    for (const bool skip : {false, true}) {
      Detokenizer detokenizer(tokenizer, skip);
      const std::string whole = golden[skip ? "decoded_skipping" : "decoded"];
      EXPECT_EQ(join(detokenizer, ids), whole) << golden;
      // finish() leaves it as new.
      EXPECT_EQ(join(detokenizer, ids), whole) << golden;
    }
  }
}

TEST(Detokenizer, HoldsAnEmojiUntilItIsWhole) {
  for (const char* name : {"byte_level", "byte_fallback"}) {
    const Tokenizer& tokenizer = testdata::tokenizer(name);
    // U+10FFFF is in no training text: four tokens of a byte each.
    const auto ids = *tokenizer.encode("a\U0010ffff!", false);
    ASSERT_GE(ids.size(), 6u) << name;
    Detokenizer detokenizer(tokenizer, true);
    std::vector<std::string> pieces;
    for (const int32_t id : ids) pieces.push_back(detokenizer.push(id));
    const std::vector<std::string> last(pieces.end() - 5, pieces.end() - 2);
    EXPECT_EQ(last, std::vector<std::string>(3)) << name;
    EXPECT_EQ(pieces[pieces.size() - 2] + pieces.back() + detokenizer.finish(), "\U0010ffff!");
  }
}

TEST(Detokenizer, FinishReplacesATornCharacter) {
  const Tokenizer& tokenizer = testdata::tokenizer("byte_level");
  auto ids = *tokenizer.encode("ok\U0010ffff", false);
  ids.pop_back();
  Detokenizer detokenizer(tokenizer, true);
  const std::string joined = join(detokenizer, ids);
  EXPECT_EQ(joined, *tokenizer.decode(ids, true));
  EXPECT_EQ(joined, "ok\uFFFD");
}

TEST(Detokenizer, EndlessBytesHoldBackABoundedRun) {
  const Tokenizer& tokenizer = testdata::tokenizer("byte_fallback");
  const int32_t byte = tokenizer.token_to_id("<0x80>");
  ASSERT_GE(byte, 0);
  Detokenizer detokenizer(tokenizer, true, 16);
  size_t out = 0;
  for (int i = 0; i < 1000; ++i) out += detokenizer.push(byte).size();
  EXPECT_GE(out, (1000u - 16u) * 3u);
}

TEST(Detokenizer, UnknownIdsHaveNoText) {
  const Tokenizer& tokenizer = testdata::tokenizer("byte_level");
  Detokenizer detokenizer(tokenizer, true);
  EXPECT_EQ(detokenizer.push(-1) + detokenizer.push(tokenizer.vocab_size()) +
                detokenizer.push(INT32_MAX) + detokenizer.finish(),
            "");
}

TEST(Detokenizer, CopiesGoTheirOwnWay) {
  const Tokenizer& tokenizer = testdata::tokenizer("byte_level");
  const auto ids = *tokenizer.encode("\U0010ffff", false);
  Detokenizer first(tokenizer, true);
  for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(first.push(ids[i]), "");
  Detokenizer second = first;
  EXPECT_EQ(first.push(ids.back()), "\U0010ffff");
  EXPECT_EQ(second.finish(), "\uFFFD");
}

}  // namespace
}  // namespace sluice::text
