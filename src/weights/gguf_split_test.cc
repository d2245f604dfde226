#include "weights/gguf_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/checkpoint.h"
#include "weights/gguf_test_file.h"
#include "weights/test_files.h"

namespace sluice::weights {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kF32 = 0;

GgufTestFile part(uint16_t no, uint16_t count, int32_t tensors) {
  GgufTestFile file;
  file.number("split.no", no).number("split.count", count).number("split.tensors.count", tensors);
  return file;
}

class GgufSplitTest : public WeightsDirectory {
 protected:
  // Three parts with tensors a; b and c; d.
  void write_parts() {
    auto first = part(0, 3, 4);
    first.text("general.architecture", "llama").number("llama.block_count", 2u);
    write("m-00001-of-00003.gguf", first.tensor("a", {2}, kF32, "aaaaAAAA").write());
    write("m-00002-of-00003.gguf",
          part(1, 3, 4).tensor("b", {1}, kF32, "bbbb").tensor("c", {1}, kF32, "cccc").write());
    write("m-00003-of-00003.gguf", part(2, 3, 4).tensor("d", {1}, kF32, "dddd").write());
  }
  std::string error(const std::string& name = "m-00001-of-00003.gguf") const {
    const auto opened = open_checkpoint(directory_ / name);
    return opened ? "opened" : opened.error().message;
  }
};

TEST_F(GgufSplitTest, TheFirstPartBringsTheOthers) {
  write_parts();
  const auto opened = open_checkpoint(directory_ / "m-00001-of-00003.gguf");
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->files().size(), 3u);
  ASSERT_EQ(opened->entries().size(), 4u);
  for (const char* name : {"a", "b", "c", "d"})
    EXPECT_EQ(static_cast<char>(*opened->tensor(name)->data), name[0]);
  EXPECT_EQ(opened->gguf()->whole("llama.block_count"), 2);
}

TEST_F(GgufSplitTest, TheFirstPartMayHoldNoTensor) {
  write("m-00001-of-00002.gguf", part(0, 2, 1).text("general.architecture", "llama").write());
  write("m-00002-of-00002.gguf", part(1, 2, 1).tensor("b", {1}, kF32, "bbbb").write());
  EXPECT_TRUE(open_checkpoint(directory_ / "m-00001-of-00002.gguf"));
}

TEST_F(GgufSplitTest, AWholeFileMaySayThatItIsOne) {
  for (const uint16_t count : {uint16_t{0}, uint16_t{1}})
    EXPECT_TRUE(open_checkpoint(write("one.gguf", part(0, count, 0).write())));
}

TEST_F(GgufSplitTest, RefusesPartsThatDoNotBelongTogether) {
  write_parts();
  EXPECT_THAT(error("m-00002-of-00003.gguf"), HasSubstr("'m-00001-of-00003.gguf'"));
  std::filesystem::copy(directory_ / "m-00001-of-00003.gguf", directory_ / "other.gguf");
  EXPECT_THAT(error("other.gguf"), HasSubstr("must end with '-00001-of-00003.gguf'"));
  write("m-00003-of-00003.gguf", part(1, 3, 4).tensor("d", {1}, kF32, "dddd").write());
  EXPECT_THAT(error(), HasSubstr("m-00003-of-00003.gguf: does not say that it is part 3 of 3"));
  write("m-00003-of-00003.gguf", part(2, 2, 4).tensor("d", {1}, kF32, "dddd").write());
  EXPECT_THAT(error(), HasSubstr("does not say that it is part 3 of 3"));
  write("m-00003-of-00003.gguf", part(2, 3, 4).tensor("a", {1}, kF32, "dddd").write());
  EXPECT_THAT(error(), HasSubstr("tensor 'a' stands in both"));
  write("m-00003-of-00003.gguf", part(2, 3, 4).write());
  EXPECT_THAT(error(), HasSubstr("'split.tensors.count' says 4 tensors, but the files hold 3"));
  auto last = part(2, 3, 4);
  last.number("llama.block_count", 2u).tensor("d", {1}, kF32, "dddd");
  write("m-00003-of-00003.gguf", last.write());
  EXPECT_EQ(error(), "opened");
  write("m-00003-of-00003.gguf", part(2, 3, 4).number("llama.block_count", 3u).write());
  EXPECT_THAT(error(), HasSubstr("'llama.block_count', of which the first part says otherwise"));
  write("m-00003-of-00003.gguf", part(2, 3, 4).number("llama.vocab_size", 3u).write());
  EXPECT_THAT(error(), HasSubstr("holds the key 'llama.vocab_size'"));
  std::filesystem::remove(directory_ / "m-00003-of-00003.gguf");
  EXPECT_THAT(error(), HasSubstr("m-00003-of-00003.gguf"));
}

TEST_F(GgufSplitTest, RefusesCountsOutOfRange) {
  write("m.gguf", GgufTestFile().number("split.count", uint16_t{3}).write());
  EXPECT_THAT(error("m.gguf"), HasSubstr("'split.no' is not a whole number below"));
  write("m.gguf", part(3, 3, 1).write());
  EXPECT_THAT(error("m.gguf"), HasSubstr("'split.no' is not"));
  write("m.gguf", part(0, 60000, 1).write());
  EXPECT_THAT(error("m.gguf"), HasSubstr("'split.count' is not a whole number up to 10000"));
  write("m.gguf", GgufTestFile().text("split.count", "3").write());
  EXPECT_THAT(error("m.gguf"), HasSubstr("'split.count' is not"));
}

}  // namespace
}  // namespace sluice::weights
