#include "weights/build_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/engine_test_directory.h"

namespace sluice::weights {
namespace {

using ::testing::HasSubstr;

class BuildJournalTest : public WeightsDirectory {
 protected:
  std::filesystem::path path() const { return directory_ / kEngineJournalFile; }
  BuildJournal open() const { return BuildJournal::open(path(), test_identity()).value(); }
};

TEST_F(BuildJournalTest, RemembersWhatWasWritten) {
  {
    BuildJournal journal = open();
    ASSERT_TRUE(journal.wrote(0, 10).ok());
    ASSERT_TRUE(journal.synced().ok());
    ASSERT_TRUE(journal.wrote(3, 0xffffffffu).ok());
  }
  const BuildJournal journal = open();
  ASSERT_EQ(journal.groups().size(), kTestGroups);
  ASSERT_TRUE(journal.groups()[0] && journal.groups()[3]);
  EXPECT_EQ(journal.groups()[0]->crc32c, 10u);
  EXPECT_TRUE(journal.groups()[0]->synced);
  EXPECT_EQ(journal.groups()[3]->crc32c, 0xffffffffu);
  EXPECT_FALSE(journal.groups()[3]->synced);
  EXPECT_FALSE(journal.groups()[1]);
}

TEST_F(BuildJournalTest, ALostGroupStaysLostWhateverIsSyncedLater) {
  {
    BuildJournal journal = open();
    ASSERT_TRUE(journal.wrote(1, 10).ok());
    ASSERT_TRUE(journal.lost(1).ok());
    ASSERT_TRUE(journal.wrote(2, 20).ok());
    ASSERT_TRUE(journal.synced().ok());
  }
  const BuildJournal journal = open();
  EXPECT_FALSE(journal.groups()[1]);
  EXPECT_TRUE(journal.groups()[2]);
}

TEST_F(BuildJournalTest, ATornLastLineIsDroppedWhereverItIsCut) {
  {
    BuildJournal journal = open();
    ASSERT_TRUE(journal.wrote(0, 10).ok());
    ASSERT_TRUE(journal.wrote(1, 11).ok());
  }
  const std::string whole = file_bytes(path());
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    write(kEngineJournalFile, whole.substr(0, bytes));
    BuildJournal journal = open();
    EXPECT_FALSE(journal.groups()[1]);
    ASSERT_TRUE(journal.wrote(2, 12).ok());
    const std::string now = file_bytes(path());
    EXPECT_THAT(now, HasSubstr("{\"group\":2,\"crc32c\":12}\n"));
  }
}

TEST_F(BuildJournalTest, AnotherBuildIsRefusedWithWhatDiffers) {
  (void)open();
  const auto refused = [&](BuildIdentity identity) {
    return BuildJournal::open(path(), identity).error().message;
  };
  BuildIdentity other = test_identity();
  other.model = "fedcba9876543210";
  EXPECT_THAT(refused(other), HasSubstr("of another model"));
  other = test_identity();
  other.quantization = "q4";
  EXPECT_THAT(refused(other), HasSubstr("another --quant, \"q8\""));
  other = test_identity();
  other.program = "sluice 9";
  EXPECT_THAT(refused(other), HasSubstr("another version"));
  write(kEngineJournalFile, "{\"something\": \"else\"}\n");
  EXPECT_THAT(refused(test_identity()), HasSubstr("is not a journal of sluice build"));
}

TEST_F(BuildJournalTest, ASecondProcessIsRefused) {
  const BuildJournal first = open();
  const auto second = BuildJournal::open(path(), test_identity());
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("another run is building"));
}

}  // namespace
}  // namespace sluice::weights
