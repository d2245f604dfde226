#include "weights/engine_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "weights/engine_directory.h"
#include "weights/engine_test_directory.h"

namespace sluice::weights {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class EngineWriterTest : public WeightsDirectory {
 protected:
  fs::path out() const { return directory_ / "out"; }
  fs::path partial() const { return directory_ / "out.partial"; }

  // All that is in the finished directory, by name.
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> all;
    for (const auto& item : fs::recursive_directory_iterator(out())) {
      if (item.is_regular_file())
        all[fs::relative(item.path(), out()).string()] = file_bytes(item.path());
    }
    return all;
  }
  std::string refused(const EnginePlaces& places = test_places()) const {
    const auto writer = EngineWriter::open(out(), test_identity(), places, 0);
    return writer ? "opened" : writer.error().message;
  }
};

TEST(EnginePlaces, GroupsFollowEachOtherAlignedAndFilesEndInTime) {
  const std::vector<int64_t> sizes{1, 4096, 4097, 20000, 1};
  const EnginePlaces places = place_groups(sizes, 12288);
  EXPECT_EQ(places.groups,
            (std::vector<EnginePlace>{
                {0, 0, 1}, {0, 4096, 4096}, {1, 0, 4097}, {2, 0, 20000}, {3, 0, 1}}));
  EXPECT_EQ(places.files, (std::vector<EngineFile>{{"weights-00000.bin", 8192},
                                                   {"weights-00001.bin", 8192},
                                                   {"weights-00002.bin", 20480},
                                                   {"weights-00003.bin", 4096}}));
  EXPECT_EQ(places.bytes, 8192 + 8192 + 20480 + 4096);
}

TEST_F(EngineWriterTest, WhatIsWrittenIsRead) {
  write_test_directory(out());
  EXPECT_FALSE(fs::exists(partial()));
  EXPECT_FALSE(fs::exists(out() / kEngineJournalFile));
  const auto opened = EngineDirectory::open(out());
  ASSERT_TRUE(opened) << opened.error().message;
  const EngineManifest& manifest = opened->manifest();
  ASSERT_EQ(manifest.files.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::ranges::equal(opened->view(manifest.tensors[i]), test_group(i)));
    EXPECT_TRUE(opened->check(manifest.tensors[i]).ok());
  }
  for (int64_t expert = 0; expert < 3; ++expert) {
    EXPECT_TRUE(std::ranges::equal(opened->page(manifest.experts[0], expert),
                                   test_group(static_cast<size_t>(expert) + 2)));
    EXPECT_TRUE(opened->check(manifest.experts[0], expert).ok());
  }
  EXPECT_EQ(opened->fingerprint(), "0123456789abcdef-q8");
}

TEST_F(EngineWriterTest, GoesOnWhereItWasCut) {
  write_test_directory(out());
  const auto expected = contents();
  for (size_t cut = 0; cut <= kTestGroups; ++cut) {
    fs::remove_all(out());
    {
      EngineWriter writer = open_test_writer(out());
      for (size_t i = 0; i < cut; ++i) ASSERT_TRUE(writer.write(i, test_group(i)).ok());
      if (cut % 2 == 0) {
        ASSERT_TRUE(writer.sync().ok());
      }
    }
    EngineWriter writer = open_test_writer(out());
    int64_t found = 0;
    for (size_t i = 0; i < kTestGroups; ++i) {
      ASSERT_EQ(writer.has(i), i < cut);
      if (writer.has(i)) found += test_places().groups[i].bytes;
    }
    EXPECT_EQ(writer.bytes_found(), found);
    for (size_t i = cut; i < kTestGroups; ++i) ASSERT_TRUE(writer.write(i, test_group(i)).ok());
    ASSERT_TRUE(finish_test_directory(writer).ok());
    EXPECT_EQ(contents(), expected) << "cut after " << cut << " groups";
  }
}

TEST_F(EngineWriterTest, ATornGroupIsWrittenAgain) {
  {
    EngineWriter writer = open_test_writer(out());
    for (size_t i = 0; i < 2; ++i) ASSERT_TRUE(writer.write(i, test_group(i)).ok());
  }
  flip_bit(partial() / "weights-00000.bin", test_places().groups[1].offset + 17);
  EngineWriter writer = open_test_writer(out());
  EXPECT_TRUE(writer.has(0));
  EXPECT_FALSE(writer.has(1));
  for (size_t i = 1; i < kTestGroups; ++i) ASSERT_TRUE(writer.write(i, test_group(i)).ok());
  ASSERT_TRUE(finish_test_directory(writer).ok());
  const auto opened = EngineDirectory::open(out());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_TRUE(opened->check(opened->manifest().tensors[1]).ok());
}

TEST_F(EngineWriterTest, AFileThatIsGoneTakesItsGroupsWithIt) {
  {
    EngineWriter writer = open_test_writer(out());
    for (size_t i = 0; i < kTestGroups; ++i) ASSERT_TRUE(writer.write(i, test_group(i)).ok());
    ASSERT_TRUE(writer.sync().ok());
  }
  fs::remove(partial() / "weights-00001.bin");
  const EngineWriter writer = open_test_writer(out());
  for (size_t i = 0; i < kTestGroups; ++i)
    EXPECT_EQ(writer.has(i), test_places().groups[i].file == 0) << i;
}

TEST_F(EngineWriterTest, WhatExistsIsNotWrittenOver) {
  write_test_directory(out());
  EXPECT_THAT(refused(), HasSubstr("never written again"));
  fs::rename(out(), partial());
  EXPECT_THAT(refused(), HasSubstr("is no unfinished build"));
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(EngineWriterTest, KilledBeforeItsJournalWentItIsFinishedAllTheSame) {
  {
    EngineWriter writer = open_test_writer(out());
    for (size_t i = 0; i < kTestGroups; ++i) ASSERT_TRUE(writer.write(i, test_group(i)).ok());
    const std::string journal = file_bytes(partial() / kEngineJournalFile);
    ASSERT_TRUE(finish_test_directory(writer).ok());
    write("out/" + std::string(kEngineJournalFile), journal);
  }
  EXPECT_TRUE(EngineDirectory::open(out()).ok());
  BuildIdentity other = test_identity();
  other.model = "f";
  EXPECT_FALSE(finish_named(out(), other).ok());
  EXPECT_TRUE(finish_named(out(), test_identity()).value());
  EXPECT_FALSE(fs::exists(out() / kEngineJournalFile));
  EXPECT_FALSE(finish_named(out(), test_identity()).value());
}

TEST_F(EngineWriterTest, ADiskWithTooLittleRoomIsRefusedBeforeAnythingIsWritten) {
  EnginePlaces places = test_places();
  places.bytes = int64_t{1} << 60;
  const auto writer = EngineWriter::open(out(), test_identity(), places, 0);
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ErrorCode::kNoRoom);
  EXPECT_THAT(writer.error().message, HasSubstr("free"));
  EXPECT_FALSE(fs::exists(partial()));
}

}  // namespace
}  // namespace sluice::weights
