#include "base/units.h"

#include <gtest/gtest.h>

namespace sluice::base {
namespace {

TEST(Units, ParsesSizes) {
  EXPECT_EQ(parse_bytes("4096").value(), 4096);
  EXPECT_EQ(parse_bytes("4G").value(), int64_t{4} << 30);
  EXPECT_EQ(parse_bytes("1.5GiB").value(), int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("16 MB").value(), int64_t{16} << 20);
}

TEST(Units, RefusesWhatIsNoSize) {
  for (const char* text : {"", "G", "-1", "4X", "4GG", "1e300", "nan", "4 G B"})
    EXPECT_FALSE(parse_bytes(text)) << text;
}

TEST(Units, Formats) {
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(12), "12 B");
  EXPECT_EQ(format_count(-1234567), "-1,234,567");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_seconds(252), "4 m 12 s");
  EXPECT_EQ(format_seconds(11100), "3 h 05 m");
}

}  // namespace
}  // namespace sluice::base
