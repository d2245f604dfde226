#include "weights/gguf_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "weights/gguf_test_file.h"
#include "weights/test_files.h"

namespace sluice::weights {
namespace {

using GgufWriter = WeightsDirectory;

TEST_F(GgufWriter, KeysAndNamedTensorsAreThoseOfTheFile) {
  GgufTestFile file;
  file.alignment = 64;
  file.number("general.alignment", uint32_t{64});
  file.text("general.architecture", "llama");
  file.text("empty", "");
  file.number("bool", true).number("small", uint8_t{200}).number("real", -1.5f);
  file.number("wide", int64_t{-7}).number("precise", 0.1);
  file.numbers("list", std::vector<int32_t>{3, -1, 2});
  file.texts("texts", {"a", "", "\xe2\x96\x81word"});
  file.texts("none", {});
  constexpr uint32_t kF32 = 0;
  file.tensor("kept", {3}, kF32, std::string("\0\0\x80?\0\0\0@\0\0@@", 12));
  file.tensor("left", {2, 4}, kF32, std::string(32, 'x'));
  const auto from = open_checkpoint(write("from.gguf", file.write())).value();

  constexpr std::array<std::string_view, 2> kNames{"kept", "absent"};
  const auto to = open_checkpoint(write("to.gguf", gguf_description(from, kNames)));
  ASSERT_TRUE(to) << to.error().message;
  ASSERT_EQ(to->entries().size(), 1u);
  const auto kept = to->tensor("kept").value();
  ASSERT_EQ(kept.shape, tensor::Shape{3});
  EXPECT_EQ(reinterpret_cast<const float*>(kept.data)[2], 3.0f);

  ASSERT_EQ(to->gguf()->entries().size() + 1, from.gguf()->entries().size());
  EXPECT_EQ(to->gguf()->find("general.alignment"), nullptr);
  for (const auto& [key, value] : to->gguf()->entries()) {
    const GgufValue* expected = from.gguf()->find(key);
    ASSERT_NE(expected, nullptr) << key;
    EXPECT_EQ(value.type, expected->type) << key;
    EXPECT_EQ(value.is_array, expected->is_array) << key;
    EXPECT_EQ(value.count, expected->count) << key;
    EXPECT_TRUE(std::ranges::equal(value.bytes, expected->bytes)) << key;
  }
}

TEST_F(GgufWriter, AFileOfKeysAloneIsOne) {
  const auto from =
      open_checkpoint(write("from.gguf", GgufTestFile().text("split.none", "x").write())).value();
  const auto to = open_checkpoint(write("to.gguf", gguf_description(from, {})));
  ASSERT_TRUE(to) << to.error().message;
  EXPECT_TRUE(to->gguf()->entries().empty());
}

}  // namespace
}  // namespace sluice::weights
