#include "batch/replacement.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "batch/test_batch.h"
#include "batch/test_files.h"

namespace sluice::batch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReplacementTest : public Batch {
 protected:
  Result<Replacement> begin(FileFaults* faults, const std::string& text) {
    write("file", text);
    auto opened = File::open(path("file"), O_RDWR, faults);
    if (!opened) return opened.error();
    old_ = std::move(*opened);
    return Replacement::begin(old_);
  }
  bool left_over() const { return std::filesystem::exists(path("file.retry")); }

  File old_;
};

TEST_F(ReplacementTest, TakesTheNameWithTheRangesThatWereCopied) {
  std::string text(3'000'000, '.');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  auto kept = begin(nullptr, text);
  ASSERT_TRUE(kept.ok());
  ASSERT_TRUE(kept->copy(0, 10).ok());
  ASSERT_TRUE(kept->copy(20, 2'500'000).ok());
  ASSERT_TRUE(kept->copy(2'999'999, 3'000'000).ok());
  EXPECT_EQ(*kept->sync(), 10 + 2'499'980 + 1);
  EXPECT_EQ(read("file"), text) << "not yet";
  const auto file = kept->take_place();
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(read("file"), text.substr(0, 10) + text.substr(20, 2'499'980) + text.substr(2'999'999));
  EXPECT_EQ(file->path(), path("file"));
  EXPECT_FALSE(left_over());
}

TEST_F(ReplacementTest, IsOnTheDiskBeforeItHasTheName) {
  Recorder recorder;
  {
    auto kept = begin(&recorder, "abcdef");
    ASSERT_TRUE(kept->copy(0, 3).ok());
    ASSERT_TRUE(kept->copy(3, 6).ok());
    ASSERT_TRUE(kept->sync().ok());
    ASSERT_TRUE(kept->take_place().ok());
  }
  EXPECT_THAT(recorder.calls, ElementsAre("remove", "write", "sync", "rename", "sync directory"));
}

// Whatever fails: the file is as it was, and nothing lies beside it.
TEST_F(ReplacementTest, LeavesNothingBehindWhenItFails) {
  const auto replace = [&](SmallDisk& disk) -> Status {
    SLUICE_ASSIGN(Replacement kept, begin(&disk, "abcdef"));
    SLUICE_TRY(kept.copy(0, 6));
    SLUICE_ASSIGN([[maybe_unused]] const int64_t bytes, kept.sync());
    SLUICE_ASSIGN([[maybe_unused]] const File file, kept.take_place());
    return {};
  };
  SmallDisk full(5), unsynced(100), unnamed(100), sound(100);
  unsynced.sync_error = EIO;
  unnamed.rename_error = EIO;
  for (SmallDisk* disk : {&full, &unsynced, &unnamed}) {
    EXPECT_FALSE(replace(*disk).ok());
    EXPECT_EQ(read("file"), "abcdef");
    EXPECT_FALSE(left_over());
  }
  EXPECT_TRUE(replace(sound).ok());
  SmallDisk small(5);
  const Status status = replace(small);
  EXPECT_EQ(status.error().code, ErrorCode::kNoRoom);
  EXPECT_THAT(status.error().message, HasSubstr("No space left on device"));
  EXPECT_THAT(status.error().message, HasSubstr("is as it was, and needs room for a copy"));
}

TEST_F(ReplacementTest, RemovesWhatAKillHasLeft) {
  write("file.retry", "left by a kill");
  auto kept = begin(nullptr, "abc");
  ASSERT_TRUE(kept->copy(1, 2).ok());
  EXPECT_EQ(*kept->sync(), 1);
  ASSERT_TRUE(kept->take_place().ok());
  EXPECT_EQ(read("file"), "b");
  write("file.retry", "left by a kill");
  EXPECT_TRUE(Replacement::remove_left_over(path("file"), nullptr).ok());
  EXPECT_FALSE(left_over());
  EXPECT_TRUE(Replacement::remove_left_over(path("file"), nullptr).ok());
}

}  // namespace
}  // namespace sluice::batch
