#include "base/whole_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/test_path.h"

namespace sluice::base {
namespace {

TEST(WholeFile, IsReadAsItWasWritten) {
  const std::string path = test_path("whole_file.txt");
  const std::string text("a line\nand \0 a zero", 18);
  ASSERT_TRUE(write_whole_file(path, text).ok());
  EXPECT_EQ(*read_whole_file(path, 100), text);
  EXPECT_EQ(read_whole_file(path, 17).error().code, ErrorCode::kInvalid);
  ASSERT_TRUE(write_whole_file(path, "shorter").ok());
  EXPECT_EQ(*read_whole_file(path, 100), "shorter");
  std::filesystem::remove(path);
  EXPECT_EQ(read_whole_file(path, 100).error().code, ErrorCode::kNotFound);
}

TEST(WholeFile, SaysWhereItCannotBeWritten) {
  const Status status = write_whole_file("/nowhere/at/all", "text");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kIo);
  EXPECT_NE(status.error().message.find("/nowhere/at/all"), std::string::npos);
}

}  // namespace
}  // namespace sluice::base
