#include "io/read_stream.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "io/faults.h"
#include "io/test_file.h"

namespace sluice::io {
namespace {

using ::testing::HasSubstr;

class ReadStreamTest : public ReaderTest {
 protected:
  Result<std::unique_ptr<ReadStream>> open(const std::vector<std::filesystem::path>& files,
                                           std::vector<Extent> extents,
                                           ReadStreamOptions options = {}) const {
    options.backend = GetParam();
    return ReadStream::open(files, std::move(extents), options);
  }
  // -1 if all extents come as they should, else the first that does not.
  static int first_wrong_extent(ReadStream& stream, const std::vector<Extent>& extents) {
    for (size_t i = 0; i < extents.size(); ++i) {
      const auto bytes = stream.next();
      if (!bytes.ok() || static_cast<int64_t>(bytes->size()) != extents[i].bytes ||
          first_wrong(bytes->data(), extents[i].offset, extents[i].bytes) >= 0)
        return static_cast<int>(i);
    }
    return -1;
  }
};

TEST_P(ReadStreamTest, GivesEveryExtentInOrderWhateverItsPlaceAndSize) {
  const TestFile file((3 << 20) + 77), other(5000);
  std::vector<Extent> extents;
  for (int64_t at = 0; at < file.bytes(); at += 100'003)
    extents.push_back({0, at, std::min<int64_t>(100'003, file.bytes() - at)});
  extents.push_back({1, 1, 4999});
  extents.push_back({0, 0, 1});
  extents.push_back({0, file.bytes() - 1, 1});
  extents.push_back({0, 4095, 2});
  // Few buffers, of which each is used over and over; and as many as there are extents.
  for (const int64_t buffer_bytes : {int64_t{1}, int64_t{64} << 20}) {
    for (const bool direct : {true, false}) {
      auto stream = open({file.path(), other.path()}, extents,
                         {.buffer_bytes = buffer_bytes, .direct = direct});
      ASSERT_TRUE(stream.ok()) << stream.error().message;
      EXPECT_EQ(first_wrong_extent(**stream, extents), -1) << buffer_bytes << " " << direct;
    }
  }
}

TEST_P(ReadStreamTest, MayEndBeforeAllIsTaken) {
  const TestFile file(8 << 20);
  auto stream = open({file.path()}, {{0, 0, 4 << 20}, {0, 4 << 20, 4 << 20}});
  ASSERT_TRUE(stream.ok());
  EXPECT_TRUE((*stream)->next().ok());
  stream->reset();
  EXPECT_TRUE(open({file.path()}, {}).ok());
}

TEST_P(ReadStreamTest, SaysWhatCannotBeRead) {
  const TestFile file(1 << 20);
  EXPECT_EQ(open({"/nowhere/at/all"}, {}).error().code, ErrorCode::kNotFound);
  // The file ends before the second extent does.
  auto stream = open({file.path()}, {{0, 0, 4096}, {0, (1 << 20) - 100, 4096}});
  ASSERT_TRUE(stream.ok()) << stream.error().message;
  EXPECT_TRUE((*stream)->next().ok());
  const auto cut = (*stream)->next();
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(cut.error().message, HasSubstr(file.path().string()));
}

INSTANTIATE_TEST_SUITE_P(Backends, ReadStreamTest,
                         ::testing::Values(Backend::kUring, Backend::kThreads), backend_name);

}  // namespace
}  // namespace sluice::io
