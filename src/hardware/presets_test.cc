#include "hardware/presets.h"

#include <gtest/gtest.h>

namespace sluice::hardware {
namespace {

TEST(Presets, EveryMachineSurvivesItsJsonAndNamesItsSources) {
  int machines = 0;
  for (const PresetPart& device : device_presets()) {
    for (const PresetPart& disk : disk_presets()) {
      const auto machine = combine({.device = device.name, .disk = disk.name});
      ASSERT_TRUE(machine.ok()) << machine.error().message;
      const auto back = from_json(to_json(*machine));
      ASSERT_TRUE(back.ok()) << device.name << ": " << back.error().message;
      EXPECT_EQ(*back, *machine);
      for (const Level& level : machine->levels) EXPECT_FALSE(level.origin.empty());
      ++machines;
    }
  }
  EXPECT_EQ(machines, 14 * 4);
}

TEST(Presets, PartsCombine) {
  const Hardware machine =
      combine({.device = "l4", .host = "epyc-9654", .host_memory_bytes = int64_t{192} << 30})
          .value();
  EXPECT_EQ(machine.find(LevelKind::kHost)->capacity_bytes, int64_t{192} << 30);
  EXPECT_EQ(machine.find(LevelKind::kDevice)->capacity_bytes, 24'000'000'000);
  EXPECT_EQ(machine.find(LevelKind::kDisk), nullptr);
  EXPECT_EQ(machine.links.size(), 2);
  EXPECT_EQ(machine.source_of(machine.links[0], "latency_us"), Source::kAssumed);
  EXPECT_EQ(machine.source_of(machine.links[0], "bytes_per_second"), Source::kStated);
  EXPECT_EQ(combine({.host = "grace"})->levels.size(), 1);
}

TEST(Presets, NamesThoseThereAre) {
  EXPECT_NE(combine({.device = "rtx-9090"}).error().message.find("rtx-5090"), std::string::npos);
  EXPECT_NE(combine({.host = "486"}).error().message.find("xeon-24c"), std::string::npos);
  EXPECT_NE(combine({}).error().message.find("--host"), std::string::npos);
}

}  // namespace
}  // namespace sluice::hardware
