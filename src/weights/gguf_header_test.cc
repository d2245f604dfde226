#include "weights/gguf_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/gguf_test_file.h"

namespace sluice::weights {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<GgufHeader> parse(const std::string& file) {
  return parse_gguf_header(std::as_bytes(std::span(file)));
}

// A file with one key, whose type and value are `value`.
std::string with_key(std::string_view key, const std::string& value) {
  return "GGUF" + little_endian_bytes(3u) + little_endian_bytes(uint64_t{0}) +
         little_endian_bytes(uint64_t{1}) + gguf_string(key) + value;
}

TEST(GgufHeaderTest, ReadsKeysOfEveryType) {
  GgufTestFile file;
  file.number("u8", uint8_t{200}).number("i8", int8_t{-3}).number("u16", uint16_t{60000});
  file.number("i16", int16_t{-300}).number("u32", uint32_t{4000000000}).number("i32", -5);
  file.number("u64", uint64_t{1} << 40).number("huge", ~uint64_t{0}).number("i64", int64_t{-7});
  file.number("f32", 0.5f).number("f64", 0.1).number("yes", true).number("no", false);
  file.text("text", "a\xff").text("nothing", "");
  file.numbers<int32_t>("list", {1, -2, 3}).texts("words", {"", "ab", "c"});
  file.numbers<float>("none", {});
  const std::string written = file.write();
  const auto parsed = parse(written);
  ASSERT_TRUE(parsed) << parsed.error().message;
  const GgufMetadata& keys = parsed->metadata;
  EXPECT_EQ(keys.entries().size(), 18u);
  EXPECT_EQ(keys.whole("u8"), 200);
  EXPECT_EQ(keys.whole("i8"), -3);
  EXPECT_EQ(keys.whole("u16"), 60000);
  EXPECT_EQ(keys.whole("i16"), -300);
  EXPECT_EQ(keys.whole("u32"), 4000000000);
  EXPECT_EQ(keys.whole("i32"), -5);
  EXPECT_EQ(keys.whole("u64"), int64_t{1} << 40);
  EXPECT_EQ(keys.whole("huge"), std::nullopt);
  EXPECT_EQ(keys.whole("i64"), -7);
  EXPECT_EQ(keys.whole("f32"), std::nullopt);
  EXPECT_EQ(keys.whole("yes"), std::nullopt);
  EXPECT_EQ(keys.whole("list"), std::nullopt);
  EXPECT_EQ(keys.whole("not there"), std::nullopt);
  EXPECT_EQ(keys.find("f32")->real(), 0.5);
  EXPECT_EQ(keys.find("f64")->real(), 0.1);
  EXPECT_EQ(keys.find("u8")->real(), std::nullopt);
  EXPECT_EQ(keys.find("yes")->flag(), true);
  EXPECT_EQ(keys.find("no")->flag(), false);
  EXPECT_EQ(keys.find("i32")->flag(), std::nullopt);
  EXPECT_EQ(keys.text_or("text", "x"), "a\xff");
  EXPECT_EQ(keys.text_or("nothing", "x"), "");
  EXPECT_EQ(keys.text_or("u8", "x"), "x");
  EXPECT_EQ(keys.text_or("words", "x"), "x");
  EXPECT_TRUE(keys.find("list")->is_array);
  EXPECT_EQ(keys.find("list")->count, 3);
  EXPECT_EQ(keys.find("list")->whole(1), -2);
  EXPECT_THAT(keys.find("words")->texts(), ElementsAre("", "ab", "c"));
  EXPECT_EQ(keys.find("none")->count, 0);
  EXPECT_EQ(keys.find("not there"), nullptr);
}

TEST(GgufHeaderTest, RefusesEveryMalformedKeyByName) {
  const auto type = [](uint32_t number) { return little_endian_bytes(number); };
  const auto list = [&](uint32_t of, uint64_t count) {
    return type(9) + type(of) + little_endian_bytes(count);
  };
  const std::string pair = gguf_string("k") + type(0) + "1";
  const struct {
    std::string file;
    const char* says;
  } cases[] = {
      {with_key("k", type(13)), "the value of 'k' is of the unknown type 13"},
      {with_key("k", type(4) + "123"), "the value of 'k' reaches past the end of the file"},
      {with_key("k", type(7) + "\x02"), "'k' is neither true nor false"},
      {with_key("k", type(8) + little_endian_bytes(uint64_t{9}) + "12345678"), "past the end"},
      {with_key("k", type(8) + little_endian_bytes(~uint64_t{0}) + "12345678"), "past the end"},
      {with_key("k", list(13, 1)), "'k' is a list of the unknown type 13"},
      {with_key("k", list(9, 1) + list(0, 1) + "x"), "'k' is a list of lists"},
      {with_key("k", list(4, 2) + "1234567"), "the value of 'k' reaches past the end"},
      {with_key("k", list(10, uint64_t{1} << 61) + "12345678"), "past the end of the file"},
      {with_key("k", list(10, ~uint64_t{0}) + "12345678"), "past the end of the file"},
      {with_key("k", list(8, ~uint64_t{0} / 8 + 1) + gguf_string("")), "past the end"},
      {with_key("k", list(8, 2) + gguf_string("12345678") + "1234567"), "past the end"},
      {with_key("k", list(8, 1) + little_endian_bytes(~uint64_t{0})), "past the end"},
      {with_key("", type(0) + "1"), "key 0 has an empty name"},
      {with_key("a b", type(0) + "1"), "key 0 is not printable ASCII"},
      {with_key("a\xff", type(0) + "1"), "key 0 is not printable ASCII"},
      {with_key(std::string_view("a\0", 2), type(0) + "1"), "key 0 is not printable ASCII"},
      {with_key(std::string(65536, 'k'), type(0) + "1"), "limit of 65535"},
      {"GGUF" + type(3) + little_endian_bytes(uint64_t{0}) + little_endian_bytes(uint64_t{2}) +
           pair + pair,
       "the key 'k' stands twice"},
  };
  for (const auto& bad : cases) {
    const auto parsed = parse(bad.file);
    ASSERT_FALSE(parsed) << bad.says;
    EXPECT_THAT(parsed.error().message, HasSubstr(bad.says));
  }
}

TEST(GgufHeaderTest, RefusesOtherHeads) {
  const auto head = [](uint32_t version, uint64_t tensors, uint64_t keys) {
    return "GGUF" + little_endian_bytes(version) + little_endian_bytes(tensors) +
           little_endian_bytes(keys);
  };
  const struct {
    std::string file;
    const char* says;
  } cases[] = {
      {"", "does not begin with 'GGUF'"},
      {"GGU", "does not begin with 'GGUF'"},
      {"GGML" + head(3, 0, 0).substr(4), "does not begin with 'GGUF'"},
      {"GGUF\x03", "the version reaches past the end"},
      {head(0, 0, 0), "GGUF version 0"},
      {head(1, 0, 0), "GGUF version 1; sluice reads versions 2 and 3"},
      {head(4, 0, 0), "GGUF version 4"},
      {head(0x03000000, 0, 0), "big-endian"},
      {head(3, 0, 0).substr(0, 20), "number of tensors and keys reaches past the end"},
      {head(3, kMaxGgufTensors + 1, 0), "states 65537 tensors and 0 keys"},
      {head(3, 0, ~uint64_t{0}), "18446744073709551615 keys"},
      {head(3, 1, 0), "tensor 0 reaches past the end"},
  };
  for (const auto& bad : cases) {
    const auto parsed = parse(bad.file);
    ASSERT_FALSE(parsed) << bad.says;
    EXPECT_THAT(parsed.error().message, HasSubstr(bad.says));
  }
  EXPECT_TRUE(parse(head(3, 0, 0)));
}

}  // namespace
}  // namespace sluice::weights
