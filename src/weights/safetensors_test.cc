#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "weights/test_files.h"

namespace sluice::weights {
namespace {

using ::testing::HasSubstr;

Result<SafetensorsHeader> parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), static_cast<int64_t>(file.size()));
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"w":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

TEST(Safetensors, ReadsNamesShapesTypesAndMetadata) {
  const std::string header =
      padded(R"({"__metadata__":{"format":"pt"},)"
             R"("b":{"dtype":"BF16","shape":[3,2],"data_offsets":[8,20]},)"
             R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
             R"("empty":{"dtype":"F16","shape":[0,5],"data_offsets":[8,8]},)"
             R"("scalar":{"dtype":"I64","shape":[],"data_offsets":[24,32]},)"
             R"("packed":{"dtype":"F4","shape":[8],"data_offsets":[20,24]}})");
  const auto parsed = parse(safetensors_bytes(header, 32));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->metadata.at("format"), "pt");
  ASSERT_EQ(parsed->tensors.size(), 5u);
  const int64_t data = 8 + static_cast<int64_t>(header.size());
  EXPECT_EQ(parsed->data_offset, data);
  const char* const names[] = {"a", "empty", "b", "packed", "scalar"};
  const int64_t offsets[] = {0, 8, 8, 20, 24};
  const int64_t bytes[] = {8, 0, 12, 4, 8};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(parsed->tensors[i].name, names[i]);
    EXPECT_EQ(parsed->tensors[i].offset, data + offsets[i]);
    EXPECT_EQ(parsed->tensors[i].bytes, bytes[i]);
  }
  EXPECT_EQ(parsed->tensors[2].dims, (std::vector<int64_t>{3, 2}));
  EXPECT_TRUE(parsed->tensors[4].dims.empty());
}

TEST(Safetensors, KnowsTheSizeOfEveryTypeOfTheFormat) {
  const struct {
    const char* dtype;
    int64_t bytes;  // of eight elements
  } cases[] = {{"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6},
               {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},     {"F8_E4M3", 8},
               {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
               {"U16", 16},    {"F16", 16},        {"BF16", 16},       {"I32", 32},
               {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},
               {"I64", 64},    {"U64", 64}};
  for (const auto& c : cases) {
    const std::string offsets = "[0," + std::to_string(c.bytes) + "]";
    const auto parsed = parse(safetensors_bytes(padded(one(c.dtype, "[8]", offsets)), c.bytes));
    EXPECT_TRUE(parsed) << c.dtype << ": " << parsed.error().message;
  }
}

TEST(Safetensors, AFileWithoutTensorsIsWhole) {
  EXPECT_TRUE(parse(safetensors_bytes("{}", 0)));
  EXPECT_TRUE(parse(safetensors_bytes(R"({"__metadata__":{}}   )", 0)));
}

struct BadHeader {
  const char* what;
  std::string header;
  int64_t data_bytes;
  const char* says;
};

TEST(Safetensors, RefusesEveryMalformedHeaderByName) {
  const std::string deep(100'000, '[');
  const std::string many_dims = [] {
    std::string dims = "[1";
    for (size_t i = 0; i < kMaxStoredRank; ++i) dims += ",1";
    return dims + "]";
  }();
  const std::string pair = R"("shape":[2],"data_offsets":[0,8]})";
  const BadHeader cases[] = {
      {"no JSON", "{nope", 0, "not JSON"},
      {"text after the end", "{} x", 0, "not JSON"},
      {"a list", "[]", 0, "does not begin with '{'"},
      {"leading space", " {}", 0, "does not begin with '{'"},
      {"empty", "", 0, "does not begin with '{'"},
      {"broken UTF-8", "{\"\xff\":{}}", 0, "not JSON"},
      {"deep", "{\"w\":" + deep, 0, "tensor 'w' holds a list where an object is expected"},
      {"tensor is a number", R"({"w":3})", 0, "tensor 'w' holds a number"},
      {"tensor is null", R"({"w":null})", 0, "tensor 'w' holds null"},
      {"no dtype", R"({"w":{"shape":[2],"data_offsets":[0,8]}})", 8, "tensor 'w' has no 'dtype'"},
      {"no shape", R"({"w":{"dtype":"F32","data_offsets":[0,8]}})", 8, "'w' has no 'shape'"},
      {"no offsets", R"({"w":{"dtype":"F32","shape":[2]}})", 8, "'w' has no 'data_offsets'"},
      {"field twice", R"({"w":{"dtype":"F32","dtype":"F32",)" + pair + "}", 8, "'dtype' twice"},
      {"unknown field", R"({"w":{"scale":2,"dtype":"F32",)" + pair + "}", 8,
       "unknown field 'scale'"},
      {"dtype is a number", R"({"w":{"dtype":3}})", 8, "'dtype' holds a number where a string"},
      {"unknown dtype", one("F33", "[2]", "[0,8]"), 8, "tensor 'w' has the unknown dtype 'F33'"},
      {"lower case", one("f32", "[2]", "[0,8]"), 8, "unknown dtype 'f32'"},
      {"shape is a number", one("F32", "2", "[0,8]"), 8, "'shape' holds a number where a list"},
      {"nested shape", one("F32", "[[2]]", "[0,8]"), 8, "'shape' holds a list"},
      {"negative dim", one("F32", "[-2]", "[0,8]"), 8, "'shape' holds the negative number -2"},
      {"fractional dim", one("F32", "[2.0]", "[0,8]"), 8, "'shape' holds '2.0'"},
      {"dim beyond 2^63", one("F32", "[9223372036854775808]", "[0,8]"), 8, "beyond 2^63"},
      {"dim beyond 2^64", one("F32", "[99999999999999999999]", "[0,8]"), 8, "'shape' holds"},
      {"too many dims", one("F32", many_dims, "[0,4]"), 4, "more than 64 dimensions"},
      {"overflow", one("F32", "[4294967296,4294967296]", "[0,0]"), 0, "[4294967296, 4294967296]"},
      {"overflow to zero", one("F32", "[4611686018427387904,4]", "[0,0]"), 0,
       "no whole number of bytes"},
      {"half a byte", one("F4", "[3]", "[0,2]"), 2, "no whole number of bytes"},
      {"one offset", one("F32", "[2]", "[0]"), 8, "'data_offsets' has fewer than two numbers"},
      {"three offsets", one("F32", "[2]", "[0,8,9]"), 8, "more than two numbers"},
      {"negative offset", one("F32", "[2]", "[-8,0]"), 8, "'data_offsets' holds the negative"},
      {"backwards", one("F32", "[2]", "[8,0]"), 8, "begins at byte 8 and ends before"},
      {"past the end", one("F32", "[4]", "[0,16]"), 8, "tensor 'w' ends at byte 16 of the data"},
      {"far past", one("F32", "[2]", "[9223372036854775799,9223372036854775807]"), 8, "ends at"},
      {"too short a span", one("F32", "[2]", "[0,4]"), 8, "takes 8 bytes, but its offsets span 4"},
      {"too long a span", one("F32", "[1]", "[0,8]"), 8, "takes 4 bytes, but its offsets span 8"},
      {"gap before", one("F32", "[1]", "[4,8]"), 8, "tensor 'w' begins after a gap of 4 bytes"},
      {"rest", one("F32", "[1]", "[0,4]"), 8, "4 bytes after the last tensor 'w'"},
      {"rest without tensors", "{}", 8, "8 bytes after the last tensor"},
      {"overlap",
       R"({"v":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},)"
       R"("w":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       8, "tensor 'w' overlaps tensor 'v'"},
      {"the same bytes",
       R"({"v":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
       R"("w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       8, "overlaps"},
      {"empty inside another",
       R"({"v":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
       R"("w":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})",
       8, "tensor 'w' overlaps tensor 'v'"},
      {"duplicate",
       R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
       R"("w":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       8, "tensor 'w' stands twice"},
      {"misaligned",
       padded(R"({"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
              R"("w":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})"),
       6, "tensor 'w' of type F32 begins at byte"},
      {"metadata is a list", R"({"__metadata__":[]})", 0, "'__metadata__' holds a list"},
      {"metadata holds a number", R"({"__metadata__":{"format":1}})", 0,
       "'__metadata__': 'format' holds a number where a string is expected"},
      {"metadata twice", R"({"__metadata__":{},"__metadata__":{}})", 0, "stands twice"},
      {"metadata key twice", R"({"__metadata__":{"a":"","a":""}})", 0, "'a' stands twice"},
      {"control characters", "{\"a\\n\\u001b[2J\":3}", 0, R"('a\x0a\x1b[2J')"},
  };
  for (const BadHeader& bad : cases) {
    const auto parsed = parse(safetensors_bytes(bad.header, bad.data_bytes));
    ASSERT_FALSE(parsed) << bad.what;
    EXPECT_EQ(parsed.error().code, ErrorCode::kCorrupt) << bad.what;
    EXPECT_THAT(parsed.error().message, HasSubstr(bad.says)) << bad.what;
    EXPECT_LT(parsed.error().message.size(), 600u) << bad.what;
  }
}

TEST(Safetensors, RefusesEveryMalformedLength) {
  const auto with_length = [](uint64_t length, const std::string& rest) {
    std::string file(8, '\0');
    for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>((length >> (8 * i)) & 0xffu);
    return file + rest;
  };
  EXPECT_THAT(parse("").error().message, HasSubstr("too short"));
  EXPECT_THAT(parse("1234567").error().message, HasSubstr("too short"));
  EXPECT_THAT(parse(with_length(3, "{}")).error().message, HasSubstr("cut short"));
  EXPECT_THAT(parse(with_length(100'000'001, "{}")).error().message, HasSubstr("limit"));
  EXPECT_THAT(parse(with_length(UINT64_MAX, "{}")).error().message, HasSubstr("limit"));
  EXPECT_THAT(parse(with_length(uint64_t{1} << 63, "{}")).error().message, HasSubstr("limit"));
  EXPECT_TRUE(parse(with_length(2, "{}")));
}

TEST(Safetensors, EveryCutOfAFileIsRefused) {
  const std::string file = safetensors_bytes(padded(one("F32", "[2]", "[0,8]")), 8);
  ASSERT_TRUE(parse(file));
  for (size_t bytes = 0; bytes < file.size(); ++bytes)
    EXPECT_FALSE(parse(file.substr(0, bytes))) << bytes;
}

TEST(Safetensors, NumbersBeyondFourGigabytes) {
  // 6 GiB of data that are not there: the parser looks at the header alone.
  const std::string header = padded(
      R"({"a":{"dtype":"F32","shape":[1073741824],"data_offsets":[0,4294967296]},)"
      R"("b":{"dtype":"BF16","shape":[1024,1048576],"data_offsets":[4294967296,6442450944]}})");
  const std::string file = safetensors_bytes(header, 0);
  const auto parsed = parse_safetensors(std::as_bytes(std::span(file)),
                                        static_cast<int64_t>(file.size()) + 6442450944);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->tensors[1].offset, static_cast<int64_t>(file.size()) + 4294967296);
  EXPECT_EQ(parsed->tensors[1].bytes, 2147483648);
}

TEST(Safetensors, TwoHundredThousandTensorsTakeNoQuadraticTime) {
  std::string header = "{";
  constexpr int kTensors = 200'000;
  for (int i = 0; i < kTensors; ++i) {
    header += (i > 0 ? ",\"" : "\"") + std::string("model.layers.experts.") + std::to_string(i) +
              R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + std::to_string(i) + "," +
              std::to_string(i + 1) + "]}";
  }
  header += "}";
  const std::string file = safetensors_bytes(header, kTensors);
  const auto begin = std::chrono::steady_clock::now();
  const auto parsed = parse(file);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->tensors.size(), static_cast<size_t>(kTensors));
  // A quadratic reader takes minutes; sanitizers and a busy machine stay far below this.
  EXPECT_LT(taken.count(), 30.0);
}

}  // namespace
}  // namespace sluice::weights
