#include "weights/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "tensor/float.h"
#include "weights/gguf_test_file.h"
#include "weights/test_files.h"

namespace sluice::weights {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kF32 = 0, kQ4_0 = 2, kQ4_K = 12, kI32 = 26, kBF16 = 30;

Result<GgufFile> parse(const std::string& file) {
  return parse_gguf(std::as_bytes(std::span(file)));
}

std::string bytes(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += static_cast<char>(i & 0xffu);
  return text;
}

// A file of these tensors' descriptions and so much data, with no keys.
std::string with_tensors(const std::vector<std::string>& tensors, size_t data_bytes) {
  std::string file = "GGUF" + little_endian_bytes(3u) +
                     little_endian_bytes(uint64_t{tensors.size()}) +
                     little_endian_bytes(uint64_t{0});
  for (const std::string& tensor : tensors) file += tensor;
  while (file.size() % 32 != 0) file += '\0';
  return file + bytes(data_bytes);
}

TEST(Gguf, ReadsTensorsOutermostDimFirst) {
  for (const uint32_t version : {2u, 3u}) {
    GgufTestFile file;
    file.version = version;
    file.alignment = 64;
    file.number("general.alignment", uint32_t{64});
    file.tensor("b", {2, 3}, kF32, bytes(24)).tensor("a", {4, 2, 32}, kQ4_0, bytes(8 * 18));
    file.tensor("c", {256}, kQ4_K, bytes(144)).tensor("d", {5}, kBF16, bytes(10));
    const std::string written = file.write();
    const auto parsed = parse(written);
    ASSERT_TRUE(parsed) << parsed.error().message;
    ASSERT_EQ(parsed->tensors.size(), 4u);
    const TensorEntry& stack = parsed->tensors[1];
    EXPECT_EQ(stack.name, "a");
    EXPECT_EQ(stack.dims, (std::vector<int64_t>{4, 2, 32}));
    EXPECT_EQ(stack.dtype->readable, tensor::DType::kQ4_0);
    EXPECT_EQ(stack.bytes, 144);
    EXPECT_EQ(parsed->data_offset % 64, 0);
    EXPECT_EQ(stack.offset, parsed->data_offset + 64);
    EXPECT_EQ(parsed->tensors[2].offset, parsed->data_offset + 64 + 192);
    EXPECT_EQ(written.substr(static_cast<size_t>(stack.offset), 4), bytes(4));
  }
}

TEST(Gguf, KnowsTheSizeOfEveryTypeOfTheFormat) {
  // Type numbers, elements and bytes of a block, as ggml has them.
  const struct {
    uint32_t number;
    uint64_t elements;
    int64_t bytes;
  } cases[] = {{0, 1, 4},      {1, 1, 2},      {2, 32, 18},    {3, 32, 20},    {6, 32, 22},
               {7, 32, 24},    {8, 32, 34},    {9, 32, 36},    {10, 256, 84},  {11, 256, 110},
               {12, 256, 144}, {13, 256, 176}, {14, 256, 210}, {15, 256, 292}, {16, 256, 66},
               {17, 256, 74},  {18, 256, 98},  {19, 256, 50},  {20, 32, 18},   {21, 256, 110},
               {22, 256, 82},  {23, 256, 136}, {24, 1, 1},     {25, 1, 2},     {26, 1, 4},
               {27, 1, 8},     {28, 1, 8},     {29, 256, 56},  {30, 1, 2},     {34, 256, 54},
               {35, 256, 66},  {39, 32, 17},   {40, 64, 36},   {41, 128, 18},  {42, 64, 18}};
  size_t known = 0;
  for (uint32_t number = 0; number < 64; ++number) known += find_gguf_dtype(number) ? 1 : 0;
  EXPECT_EQ(known, std::size(cases));
  for (const auto& c : cases) {
    const auto parsed = parse(with_tensors({gguf_tensor("w", {c.elements, 3}, c.number, 0)},
                                           static_cast<size_t>(c.bytes) * 3));
    ASSERT_TRUE(parsed) << c.number << ": " << parsed.error().message;
    EXPECT_EQ(parsed->tensors[0].bytes, c.bytes * 3) << c.number;
  }
  for (const tensor::DType dtype : tensor::all_dtypes()) {
    if (dtype == tensor::DType::kBF16Dot) continue;  // a way to multiply, not to store
    bool stored = false;
    for (const auto& c : cases) {
      const StoredDType& type = *find_gguf_dtype(c.number);
      if (type.readable != dtype) continue;
      stored = true;
      EXPECT_EQ(type.block_elements, tensor::info(dtype).block_elements) << type.name;
      EXPECT_EQ(type.block_bytes, tensor::info(dtype).block_bytes) << type.name;
      EXPECT_EQ(tensor::parse_dtype(type.name), dtype);
    }
    EXPECT_TRUE(stored) << tensor::info(dtype).name;
  }
}

TEST(Gguf, RefusesEveryMalformedTensorByName) {
  constexpr uint64_t kBig = uint64_t{1} << 32;
  const auto w = [](std::vector<uint64_t> dims, uint32_t type = kF32, uint64_t offset = 0) {
    return gguf_tensor("w", dims, type, offset);
  };
  const struct {
    std::vector<std::string> tensors;
    size_t data_bytes;
    const char* says;
  } cases[] = {
      {{w({})}, 32, "tensor 'w' has 0 dimensions"},
      {{w({1, 1, 1, 1, 1})}, 32, "tensor 'w' has 5 dimensions"},
      {{w({2, 0})}, 32, "tensor 'w' has a dimension of 0"},
      {{w({~uint64_t{0}})}, 32, "has a dimension of 18446744073709551615"},
      {{w({kBig, kBig})}, 32, "[4294967296, 4294967296] at the offset 0, which lies beyond 2^63"},
      {{w({kBig, kBig / 2 - 1})}, 32, "which lies beyond 2^63 bytes"},
      {{w({uint64_t{1} << 62, 4})}, 32, "which lies beyond 2^63 bytes"},
      {{w({kBig * 256, kBig / 256, 2}, kQ4_K)}, 32, "which lies beyond 2^63 bytes"},
      {{w({31}, kQ4_0)}, 32, "has rows of 31, but Q4_0 stores 32 values together"},
      {{w({16, 2}, kQ4_0)}, 32, "has rows of 16, but Q4_0"},
      {{w({2}, 4)}, 32, "tensor 'w' is of GGUF's type number 4, which sluice does not know"},
      {{w({2}, 43)}, 32, "type number 43"},
      {{w({2}, ~0u)}, 32, "type number 4294967295"},
      {{w({2}, kF32, 32)}, 64, "begins at byte 32 of the data"},
      {{w({2}, kF32, 4)}, 64, "begins at byte 4 of the data"},
      {{w({2}, kF32, ~uint64_t{0})}, 64, "which lies beyond 2^63"},
      {{w({2}, kF32, ~uint64_t{0} / 2)}, 64, "begins at byte 9223372036854775807 of the data"},
      {{w({2})}, 7, "takes 8 bytes from byte 0 of the data, but the file has 7"},
      {{w({kBig, kBig / 16})}, 64, "but the file has 64; it is cut short"},
      {{w({2}), w({2}, kF32, 32)}, 64, "tensor 'w' stands twice"},
      {{w({2}), gguf_tensor("v", {2}, kF32, 0)}, 64, "overlaps tensor"},
      {{w({9}), gguf_tensor("v", {2}, kF32, 32)}, 64, "tensor 'v' overlaps tensor 'w'"},
      {{w({2}), gguf_tensor("v", {2}, kF32, 64)}, 96, "it is expected at byte 32"},
      {{gguf_tensor("", {2}, kF32, 0)}, 32, "tensor 0 has an empty name"},
      {{gguf_tensor("w\n", {2}, kF32, 0)}, 32, "tensor 0 is not printable ASCII"},
      {{gguf_tensor(std::string(65, 'w'), {2}, kF32, 0)}, 32, "limit of 64"},
  };
  for (const auto& bad : cases) {
    const auto parsed = parse(with_tensors(bad.tensors, bad.data_bytes));
    ASSERT_FALSE(parsed) << bad.says;
    EXPECT_THAT(parsed.error().message, HasSubstr(bad.says));
  }
}

TEST(Gguf, RefusesOtherAlignments) {
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 33u, 1u << 25, 0x80000000u}) {
    GgufTestFile file;
    file.number("general.alignment", alignment);
    const auto parsed = parse(file.write());
    ASSERT_FALSE(parsed) << alignment;
    EXPECT_THAT(parsed.error().message, HasSubstr("'general.alignment' is not a power of two"));
  }
  EXPECT_FALSE(parse(GgufTestFile().text("general.alignment", "32").write()));
  EXPECT_FALSE(parse(GgufTestFile().numbers<uint32_t>("general.alignment", {32}).write()));
  EXPECT_TRUE(parse(GgufTestFile().number("general.alignment", uint32_t{4096}).write()));
}

TEST(Gguf, RefusesEveryCut) {
  GgufTestFile file;
  file.text("general.architecture", "llama").texts("words", {"a", "bc"}).number("n", 3);
  file.tensor("a", {2, 32}, kQ4_0, bytes(36)).tensor("b", {3}, kI32, bytes(12));
  const std::string whole = file.write();
  ASSERT_TRUE(parse(whole));
  // The last tensor's padding is no part of it.
  for (size_t size = 0; size + 20 < whole.size(); ++size)
    EXPECT_FALSE(parse(whole.substr(0, size))) << size;
  EXPECT_TRUE(parse(whole.substr(0, whole.size() - 20)));
}

TEST(Gguf, ALongHeaderIsReadInTime) {
  std::vector<std::string> words(200'000, "word");
  GgufTestFile file;
  file.texts("words", words);
  for (int i = 0; i < 20'000; ++i) file.number("key." + std::to_string(i), i);
  for (int i = 0; i < 20'000; ++i) file.tensor("t." + std::to_string(i), {1}, kF32, "1234");
  const std::string written = file.write();
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(parse(written));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

class GgufFiles : public WeightsDirectory {};

TEST_F(GgufFiles, OpenAsACheckpoint) {
  GgufTestFile file;
  file.text("general.architecture", "llama").tensor("w", {2, 32}, kQ4_0, bytes(36));
  file.tensor("i", {2}, kI32, bytes(8));
  const auto path = write("m.gguf", file.write());
  auto opened = open_checkpoint(path);
  ASSERT_TRUE(opened) << opened.error().message;
  const Checkpoint moved = std::move(*opened);
  ASSERT_NE(moved.gguf(), nullptr);
  EXPECT_EQ(moved.gguf()->text_or("general.architecture", ""), "llama");
  const auto view = moved.tensor("w");
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->dtype, tensor::DType::kQ4_0);
  EXPECT_EQ(view->shape, (tensor::Shape{2, 32}));
  EXPECT_EQ(view->data[35], std::byte{35});
  EXPECT_THAT(moved.tensor("i").error().message,
              HasSubstr("m.gguf: tensor 'i' has elements of type I32"));
  EXPECT_EQ(moved.where(), path.string());
  write("bad.gguf", "GGUX");
  EXPECT_THAT(open_checkpoint(directory_ / "bad.gguf").error().message,
              HasSubstr("bad.gguf: does"));
}

// A file that tools/gguf_fixture.py wrote with the `gguf` package.
TEST(GgufPackage, IsReadAsItWasWritten) {
  const auto opened = open_gguf(SLUICE_SOURCE_DIR "/src/weights/testdata/package.gguf");
  ASSERT_TRUE(opened) << opened.error().message;
  const GgufMetadata& keys = *opened->gguf();
  EXPECT_EQ(keys.text_or("general.architecture", ""), "llama");
  EXPECT_EQ(keys.whole("llama.context_length"), 4096);
  EXPECT_EQ(keys.find("llama.attention.layer_norm_rms_epsilon")->real(), double{1e-5f});
  EXPECT_EQ(keys.find("test.flag")->flag(), true);
  EXPECT_EQ(keys.find("test.numbers")->whole(1), -1);
  EXPECT_THAT(keys.find("tokenizer.ggml.tokens")->texts(), ElementsAre("<unk>", "a", "\u2581b"));
  EXPECT_EQ(keys.find("tokenizer.ggml.scores")->real(1), -1.5);

  EXPECT_EQ(opened->tensor("f32")->shape, (tensor::Shape{4, 6}));
  EXPECT_EQ(opened->tensor("f16")->shape, (tensor::Shape{2, 3, 4}));
  EXPECT_EQ(opened->tensor("bf16")->shape, (tensor::Shape{3, 8}));
  float wide = 0;
  uint16_t half = 0;
  uint16_t brain = 0;
  std::memcpy(&wide, opened->tensor("f32")->data + 7 * 4, 4);
  std::memcpy(&half, opened->tensor("f16")->data + 7 * 2, 2);
  std::memcpy(&brain, opened->tensor("bf16")->data + 7 * 2, 2);
  EXPECT_EQ(wide, 7);
  EXPECT_EQ(tensor::f16_to_f32(half), 7);
  EXPECT_EQ(tensor::bf16_to_f32(brain), 7);

  for (const tensor::DType dtype : tensor::all_dtypes()) {
    if (!tensor::is_block_format(dtype)) continue;
    const auto view = opened->tensor(tensor::info(dtype).name);
    ASSERT_TRUE(view) << view.error().message;
    EXPECT_EQ(view->dtype, dtype);
    EXPECT_EQ(view->shape, (tensor::Shape{2, tensor::info(dtype).block_elements}));
    for (int64_t i = 0; i < view->bytes(); ++i)
      ASSERT_EQ(view->data[i], std::byte(i & 0xff)) << tensor::info(dtype).name;
  }
}

}  // namespace
}  // namespace sluice::weights
