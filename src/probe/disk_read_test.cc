#include "probe/disk_read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/test_path.h"
#include "probe/scratch_file.h"

namespace sluice::probe {
namespace {

using ::testing::HasSubstr;

class DiskRead : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  const std::filesystem::path directory_ = base::test_path("disk_read");
};

TEST_F(DiskRead, MeasuresEverySizeAndDepthAndLeavesNothing) {
  for (const io::Backend backend : {io::Backend::kUring, io::Backend::kThreads}) {
    if (!io::Reader::create({.backend = backend})) continue;
    const auto rates = measure_disk_read({.directory = directory_,
                                          .file_bytes = int64_t{8} << 20,
                                          .time_ms = 2000,
                                          .backend = backend});
    ASSERT_TRUE(rates.ok()) << rates.error().message;
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
    std::set<std::pair<int64_t, int64_t>> seen;
    for (const hardware::DiskRate& rate : rates->rates) {
      EXPECT_GT(rate.bytes_per_second, 1e5);
      EXPECT_LT(rate.bytes_per_second, 1e12);
      seen.insert({rate.request_bytes, rate.queue_depth});
    }
    EXPECT_EQ(seen.size(), rates->rates.size());
    EXPECT_GE(seen.size(), 1u);
    EXPECT_LE(seen.size(), 24u);
    EXPECT_EQ(rates->chosen, choose(rates->rates));
    EXPECT_THAT(rates->method, HasSubstr(io::name(backend)));
    EXPECT_GT(rates->capacity_bytes, int64_t{8} << 20);
  }
}

TEST_F(DiskRead, BecomesTheDiskOfTheMachine) {
  DiskReadRates rates;
  rates.chosen = {1 << 20, 8, 2e9};
  rates.rates = {{1 << 20, 4, 1e9}, {1 << 20, 8, 2e9}};
  rates.capacity_bytes = 1000;
  rates.method = "io_uring, direct";
  rates.directory = "/data";
  hardware::Hardware hardware;
  hardware.name = "here";
  set_disk(hardware, rates);
  rates.chosen.bytes_per_second = 3e9;
  set_disk(hardware, rates);
  ASSERT_EQ(hardware.levels.size(), 1u);
  const hardware::Level* disk = hardware.find(hardware::LevelKind::kDisk);
  ASSERT_NE(disk, nullptr);
  EXPECT_EQ(disk->read_bytes_per_second, 3e9);
  const hardware::DiskReads reads{1 << 20, 8, "io_uring, direct", "/data", rates.rates};
  EXPECT_EQ(disk->disk_reads, reads);
  EXPECT_EQ(hardware.source_of(*disk, "disk_reads"), hardware::Source::kMeasured);
  const auto back = hardware::from_json(hardware::to_json(hardware));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(*back, hardware);
}

TEST_F(DiskRead, RefusesWhatItCannotMeasure) {
  const auto file = measure_disk_read({.directory = "/nowhere/at/all"});
  EXPECT_EQ(file.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(file.error().message, HasSubstr("'/nowhere/at/all' is not a directory"));
  const auto large = measure_disk_read({.directory = directory_, .file_bytes = int64_t{1} << 60});
  EXPECT_EQ(large.error().code, ErrorCode::kNoRoom);
  EXPECT_THAT(large.error().message, HasSubstr("are free"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(DiskRead, ChoosesTheFewestBytesUnderWayThatAreNearTheBest) {
  const std::vector<hardware::DiskRate> rates = {{1 << 16, 32, 0.96e9},
                                                 {1 << 20, 8, 0.98e9},
                                                 {1 << 18, 32, 0.975e9},
                                                 {4 << 20, 32, 1.0e9},
                                                 {4 << 20, 1, 0.5e9}};
  EXPECT_EQ(choose(rates), rates[1]);
  EXPECT_EQ(choose({rates.data(), 1}), rates[0]);
}

TEST_F(DiskRead, AScratchFileIsGoneWithItsOwner) {
  std::filesystem::path path;
  {
    auto file = ScratchFile::write(directory_, 10'000, 1000);
    ASSERT_TRUE(file.ok()) << file.error().message;
    path = file->path();
    EXPECT_EQ(file->bytes(), 10'000);
    EXPECT_EQ(std::filesystem::file_size(path), 10'000u);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace sluice::probe
