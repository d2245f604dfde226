#include "cli/byte_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMib = int64_t{1} << 20;

class ByteProgressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(out_, nullptr);
    time_ = {};
  }
  void TearDown() override {
    std::fclose(out_);
    std::free(text_);
  }
  ByteDisplay display(bool live) {
    return {.out = out_, .live = live, .columns = [] { return 80; }, .now = [] { return time_; }};
  }
  std::string shown() {
    std::fflush(out_);
    return {text_, size_};
  }
  static inline ByteDisplay::Clock::time_point time_;
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* out_ = ::open_memstream(&text_, &size_);
};

TEST_F(ByteProgressTest, ATerminalSeesNothingForTwoSecondsAndThenABar) {
  {
    ByteProgress progress("loading m", 400 * kMib, 0, display(true));
    for (int i = 1; i < 20; ++i) {
      time_ += milliseconds(100);
      progress.update(i * 5 * kMib);
    }
    EXPECT_EQ(shown(), "");
    time_ += milliseconds(100);
    progress.update(100 * kMib);
    EXPECT_THAT(shown(), HasSubstr("loading m ▕"));
    EXPECT_THAT(shown(), HasSubstr("100 MiB/400 MiB  ETA 6.0 s  50.0 MiB/s"));
    const size_t before = shown().size();
    time_ += milliseconds(50);  // too soon for another
    progress.update(101 * kMib);
    EXPECT_EQ(shown().size(), before);
  }
  EXPECT_TRUE(shown().ends_with("\r\x1b[2K"));  // the line is taken away
}

TEST_F(ByteProgressTest, ElsewhereThereIsALineEveryTenSeconds) {
  ByteProgress progress("loading m", 400 * kMib, 0, display(false));
  time_ += milliseconds(9'000);
  progress.update(90 * kMib);
  EXPECT_EQ(shown(), "");
  time_ += milliseconds(1'000);
  progress.update(100 * kMib);
  EXPECT_EQ(shown(), "loading m: 100 MiB of 400 MiB, 10.0 MiB/s, ETA 30 s\n");
  EXPECT_THAT(shown(), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace sluice::cli
