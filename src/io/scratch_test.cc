// Files that a reader makes for scratch, writes and reads again, on both backends.
#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "io/faults.h"
#include "io/reader.h"
#include "io/test_file.h"

namespace sluice::io {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kPage = kDirectAlignment;

class Scratch : public ReaderTest {
 protected:
  Scratch() { std::filesystem::create_directories(directory_); }
  ~Scratch() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  const std::filesystem::path directory_ = base::test_path("scratch");
};

// Page p of the file is written from page p of memory, several at a time, last ones first; then all
// is read by requests of another size.
TEST_P(Scratch, GivesBackWhatWasWritten) {
  constexpr int64_t kPages = 120;
  for (const bool direct : {true, false}) {
    const auto reader = make({.queue_depth = 5, .read_bytes = 8 * kPage, .direct = direct});
    const auto id = reader->open_scratch(directory_, kPages * kPage);
    ASSERT_TRUE(id.ok()) << id.error().message;
    const TestMemory from(kPages * kPage), to(kPages * kPage);
    for (int64_t i = 0; i < kPages * kPage; ++i) from.data()[i] = byte_at(i);
    for (int64_t page = kPages - 3; page >= 0; page -= 3) {
      ASSERT_TRUE(reader
                      ->submit({.file = *id,
                                .offset = page * kPage,
                                .bytes = 3 * kPage,
                                .memory = from.data() + page * kPage,
                                .writes = true})
                      .ok());
    }
    for (const Completion& ended : finish(*reader, kPages / 3)) {
      ASSERT_TRUE(ended.status.ok()) << ended.status.error().message;
    }
    for (int64_t page = 0; page < kPages; page += 20) {
      ASSERT_TRUE(
          reader->submit({*id, page * kPage, 20 * kPage, to.data() + page * kPage, 0}).ok());
    }
    finish(*reader, kPages / 20);
    EXPECT_EQ(first_wrong(to.data(), 0, kPages * kPage), -1);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_P(Scratch, IsAllThatIsWritten) {
  const TestFile file(4 * kPage);
  const auto reader = make();
  const auto read_only = reader->open(file.path());
  const auto scratch = reader->open_scratch(directory_, 2 * kPage);
  ASSERT_TRUE(read_only.ok() && scratch.ok());
  const TestMemory memory(4 * kPage);
  const auto write = [&](FileId id, int64_t offset, int64_t bytes) {
    return reader->submit(
        {.file = id, .offset = offset, .bytes = bytes, .memory = memory.data(), .writes = true});
  };
  EXPECT_THAT(write(*read_only, 0, kPage).error().message, HasSubstr("only scratch files"));
  EXPECT_THAT(write(*scratch, kPage, 2 * kPage).error().message, HasSubstr("do not grow"));
  EXPECT_TRUE(write(*scratch, kPage, kPage).ok());
  finish(*reader, 1);
}

TEST_P(Scratch, SaysWhyItCannotBeMade) {
  const auto reader = make();
  const auto nowhere = reader->open_scratch(directory_ / "none", kPage);
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(nowhere.error().message, HasSubstr((directory_ / "none").string()));
  const auto large = reader->open_scratch(directory_, int64_t{1} << 55);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, ErrorCode::kNoRoom);
  EXPECT_THAT(large.error().message, HasSubstr("are needed"));
}

TEST_P(Scratch, WritesThatFailSaySoAndThoseThatStopGoOn) {
  ListedFaults faults;
  faults.add({0, 2 * kPage, {.error = ENOSPC}, 1, true});
  faults.add({0, 5 * kPage, {.most_bytes = kPage}, 2, true});
  const auto reader = make({.read_bytes = 4 * kPage, .faults = &faults});
  const auto id = reader->open_scratch(directory_, 8 * kPage);
  ASSERT_TRUE(id.ok());
  const TestMemory memory(8 * kPage);
  for (int64_t i = 0; i < 8 * kPage; ++i) memory.data()[i] = byte_at(i);
  for (const int64_t at : {int64_t{0}, 4 * kPage}) {
    ASSERT_TRUE(reader
                    ->submit({.file = *id,
                              .offset = at,
                              .bytes = 4 * kPage,
                              .memory = memory.data() + at,
                              .user = static_cast<uint64_t>(at),
                              .writes = true})
                    .ok());
  }
  for (const Completion& ended : finish(*reader, 2)) {
    EXPECT_EQ(ended.status.ok(), ended.user != 0);
    if (ended.status.ok()) continue;
    EXPECT_EQ(ended.status.error().code, ErrorCode::kIo);
    EXPECT_THAT(ended.status.error().message,
                HasSubstr("cannot write 16384 bytes at offset 0 of '" + directory_.string()));
  }
  std::fill_n(memory.data(), 8 * kPage, std::byte{0});
  ASSERT_TRUE(reader->submit({*id, 4 * kPage, 4 * kPage, memory.data(), 0}).ok());
  EXPECT_TRUE(finish(*reader, 1)[0].status.ok());
  EXPECT_EQ(first_wrong(memory.data(), 4 * kPage, 4 * kPage), -1);
}

INSTANTIATE_TEST_SUITE_P(Each, Scratch, ::testing::Values(Backend::kUring, Backend::kThreads),
                         backend_name);

}  // namespace
}  // namespace sluice::io
