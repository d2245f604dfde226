#include "cli/batch_lengths.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/test_path.h"

namespace sluice::cli {
namespace {

class BatchLengthsTest : public ::testing::Test {
 protected:
  batch::File file(const std::string& text) {
    const std::string path = base::test_path("batch_lengths.jsonl");
    std::ofstream(path, std::ios::binary) << text;
    batch::File opened = batch::File::open(path, O_RDONLY).value();
    std::filesystem::remove(path);
    return opened;
  }
};

std::string line(int64_t letters, int64_t max_tokens) {
  return "{\"prompt\": \"" + std::string(static_cast<size_t>(letters), 'a') +
         "\", \"max_tokens\": " + std::to_string(max_tokens) + "}\n";
}

TEST_F(BatchLengthsTest, CountsEveryKindOfLine) {
  const batch::File lines = file(
      "{\"prompt\": \"aaaaaaaa\"}\n"                                        // 2 tokens of text
      "{\"body\": {\"prompt\": [5, 6, 7], \"max_tokens\": 9, \"n\": 3}}\n"  // ids, three answers
      "\nno JSON\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"aaaa\"}], "
      "\"max_completion_tokens\": 1}\n");
  const BatchLengths found = batch_lengths(lines, "in", 0, nullptr, 100).value();
  EXPECT_TRUE(found.whole);
  EXPECT_EQ(found.workload.name, "in");
  EXPECT_EQ(found.workload.count(), 5);
  EXPECT_EQ(found.workload.max_tokens(), 102);
  EXPECT_EQ(found.workload.mean_generated(), (100 + 3 * 9 + 1) / 5.0);
  EXPECT_EQ(found.workload.mean_prompt(), (2 + 3 * 3 + 9) / 5.0);
}

// Memory is reserved for the longest, so it is not lost in a mean.
TEST_F(BatchLengthsTest, KeepsTheLongest) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += line(400 + i, 10);
  text += line(576, 11);
  const BatchLengths found = batch_lengths(file(text), "in", 0, nullptr, 1).value();
  EXPECT_EQ(found.workload.max_tokens(), 144 + 11);
  EXPECT_EQ(found.workload.count(), 101);
}

TEST_F(BatchLengthsTest, ReadsAPartOfALargeFileFromAllOverIt) {
  std::string text;
  constexpr int kLines = 20'000;
  for (int i = 0; i < kLines; ++i) text += line(i < kLines / 2 ? 40 : 400, 8);
  const LengthLimits limits{.file_bytes = int64_t{1} << 20};
  ASSERT_GT(std::ssize(text), 4 * limits.file_bytes);
  const BatchLengths found = batch_lengths(file(text), "in", 0, nullptr, 1, limits).value();
  EXPECT_FALSE(found.whole);
  EXPECT_NEAR(static_cast<double>(found.workload.count()), kLines, 0.05 * kLines);
  EXPECT_NEAR(found.workload.mean_prompt(), 55, 6);
}

TEST_F(BatchLengthsTest, SaysThatNothingIsALine) {
  EXPECT_EQ(batch_lengths(file("[]\n7\n"), "in", 0, nullptr, 1).error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace sluice::cli
