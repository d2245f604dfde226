#include "weights/engine_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weights/checksum.h"
#include "weights/engine_test_directory.h"

namespace sluice::weights {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class EngineDirectoryTest : public WeightsDirectory {
 protected:
  void SetUp() override {
    WeightsDirectory::SetUp();
    write_test_directory(out());
  }
  fs::path out() const { return directory_ / "out"; }
  std::string error() const {
    const auto opened = EngineDirectory::open(out());
    return opened ? "opened" : opened.error().message;
  }
};

TEST(Checksum, IsCrc32c) {
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(digits))), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
  const auto bytes = std::as_bytes(std::span(digits));
  EXPECT_EQ(crc32c(bytes.subspan(4), crc32c(bytes.first(4))), 0xe3069283u);
  EXPECT_EQ(crc32c(bytes, crc32c({})), 0xe3069283u);
}

TEST_F(EngineDirectoryTest, IsKnownByItsManifestOrItsJournal) {
  EXPECT_TRUE(is_engine_directory(out()));
  EXPECT_FALSE(is_engine_directory(directory_));
  fs::remove(out() / kEngineManifestFile);
  EXPECT_FALSE(is_engine_directory(out()));
  write("out/build.journal", "");
  EXPECT_TRUE(is_engine_directory(out()));
  EXPECT_THAT(error(), HasSubstr("is not finished"));
}

TEST_F(EngineDirectoryTest, ACutFileNamesWhatIsCutOff) {
  fs::resize_file(out() / "weights-00001.bin", 4096);
  EXPECT_THAT(error(), AllOf(HasSubstr("weights-00001.bin has 4096 of"),
                             HasSubstr("the page of expert 1 of layer 0")));
  fs::resize_file(out() / "weights-00000.bin", 4097);
  EXPECT_THAT(error(), AllOf(HasSubstr("weights-00000.bin"), HasSubstr("tensor 'head'")));
}

TEST_F(EngineDirectoryTest, ALongerOrMissingFileIsRefused) {
  fs::resize_file(out() / "weights-00001.bin", 1 << 20);
  EXPECT_THAT(error(), HasSubstr("weights-00001.bin has 1048576 bytes"));
  fs::remove(out() / "weights-00001.bin");
  EXPECT_THAT(error(), HasSubstr("weights-00001.bin: cannot be opened"));
}

TEST_F(EngineDirectoryTest, AFlippedBitIsFoundInTheTensorOrPageItIsIn) {
  const EnginePlaces places = test_places();
  for (size_t group = 0; group < kTestGroups; ++group) {
    const EnginePlace& at = places.groups[group];
    const fs::path file = out() / places.files[static_cast<size_t>(at.file)].name;
    flip_bit(file, at.offset + at.bytes - 1);
    const auto opened = EngineDirectory::open(out());
    ASSERT_TRUE(opened) << opened.error().message;
    for (size_t i = 0; i < kTestGroups; ++i) {
      const auto expert = static_cast<int64_t>(i) - 2;
      const Status status = i < 2 ? opened->check(opened->manifest().tensors[i])
                                  : opened->check(opened->manifest().experts[0], expert);
      EXPECT_EQ(status.ok(), i != group);
      if (i != group) continue;
      EXPECT_EQ(status.error().code, ErrorCode::kCorrupt);
      const std::string what = i == 0 ? "tensor 'norm'"
                               : i == 1
                                   ? "tensor 'head'"
                                   : "the page of expert " + std::to_string(expert) + " of layer 0";
      EXPECT_THAT(status.error().message, AllOf(HasSubstr(file.string()), HasSubstr(what)));
    }
    flip_bit(file, at.offset + at.bytes - 1);
  }
}

TEST_F(EngineDirectoryTest, AFlippedBitOfTheManifestIsFoundWhereverItIs) {
  const fs::path path = out() / kEngineManifestFile;
  const auto bytes = static_cast<int64_t>(file_bytes(path).size());
  constexpr int64_t kStep = 7;
  for (int64_t at = 0; at < bytes; at += kStep) {
    flip_bit(path, at);
    EXPECT_NE(error(), "opened") << "bit 0 of byte " << at;
    flip_bit(path, at);
  }
  EXPECT_EQ(error(), "opened");
}

TEST_F(EngineDirectoryTest, AChangedDescriptionIsRefused) {
  write("out/config.json", "[]");
  EXPECT_THAT(error(), AllOf(HasSubstr("config.json"), HasSubstr("never changed")));
  fs::remove(out() / "config.json");
  EXPECT_THAT(error(), HasSubstr("config.json is missing"));
}

TEST_F(EngineDirectoryTest, AnotherVersionIsToldEvenWithAnotherChecksum) {
  std::string text = file_bytes(out() / kEngineManifestFile);
  const std::string version = "\"version\":1";
  text.replace(text.find(version), version.size(), "\"version\":7");
  write("out/engine.json", text);
  EXPECT_THAT(error(), AllOf(HasSubstr("engine.json"), HasSubstr("is of version 7")));
}

}  // namespace
}  // namespace sluice::weights
