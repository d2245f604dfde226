#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "batch/output.h"
#include "batch/test_files.h"

#include "base/test_path.h"

namespace sluice::batch {
namespace {

using ::testing::HasSubstr;

class FileFaultsTest : public testing::Test {
 protected:
  void TearDown() override {
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".journal");
  }
  const std::string path_ = base::test_path("file_faults");
};

TEST_F(FileFaultsTest, AWriteIsTornWhereTheDiskIsFull) {
  SmallDisk disk(5);
  const auto file = File::open(path_, O_RDWR | O_CREAT | O_APPEND, &disk);
  ASSERT_TRUE(file.ok());
  const Status written = file->write("abcdefgh");
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kNoRoom);
  EXPECT_EQ(*file->size(), 5);
  disk.sync_error = EIO;
  EXPECT_THAT(file->sync().error().message, HasSubstr("cannot sync"));
}

TEST_F(FileFaultsTest, AnOutputCutsOffWhatItCouldNotWriteAndSharesItsJournalsDisk) {
  SmallDisk disk(1000);
  auto journal = Journal::open(path_, {.faults = &disk, .process_id = 7});
  ASSERT_TRUE(journal.ok());
  auto output = Output::open(path_, *journal);
  ASSERT_TRUE(output.ok());
  ASSERT_TRUE(output->append("{}").ok());
  EXPECT_FALSE(output->append(std::string(2000, 'x')).ok());
  EXPECT_EQ(disk.truncated, 1);
  EXPECT_EQ(*output->file().size(), 3);
  const auto kept = File::open(journal->path(), O_RDONLY);
  std::string text(200, '\0');
  text.resize(*kept->read_at(0, text.data(), text.size()));
  EXPECT_THAT(text, HasSubstr("\"pid\":7"));
}

// A run that was killed may have left its batch's identity unsynced; an answer that is on the disk
// without it could not be gone on with.
TEST_F(FileFaultsTest, AJournalIsOnTheDiskBeforeAnythingElseIsWritten) {
  Recorder recorder;
  ASSERT_TRUE(Journal::open(path_)->begin({"i", 5, "m", Json::object()}, 3).ok());
  ASSERT_TRUE(Journal::open(path_, {.faults = &recorder}).ok());
  EXPECT_THAT(recorder.calls, testing::ElementsAre("write", "sync", "sync directory"));
}

}  // namespace
}  // namespace sluice::batch
