#include "hardware/presets.h"

#include <gtest/gtest.h>

#include <string>

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

// As the source that presets.cc names prints it of one device: with or without sparsity, a link by
// its generation of PCIe.
struct DatasheetLine {
  const char* device;
  double gigabytes, memory_gbs;
  double f32, bf16, int8, fp8;  // tera per second; 0: not stated
  bool sparse;                  // the last three with 2:4 sparsity, twice the dense figure
  int pcie;                     // generation, 16 lanes; 0: another link
  double watts;                 // 0: not stated
};
constexpr DatasheetLine kDatasheets[] = {
    {"t4", 16, 320, 8.1, 65, 130, 0, false, 3, 70},
    {"l4", 24, 300, 30.3, 242, 485, 485, true, 4, 72},
    {"a10", 24, 600, 31.2, 250, 500, 0, true, 4, 150},
    {"a100-40g", 40, 1555, 19.5, 624, 1248, 0, true, 4, 250},
    {"a100-80g", 80, 1935, 19.5, 624, 1248, 0, true, 4, 300},
    {"rtx-4090", 24, 1008, 82.6, 165.2, 660.6, 330.3, false, 4, 450},
    {"rtx-5090", 32, 1792, 104.8, 209.5, 838, 419, false, 5, 575},
    {"h100", 80, 3350, 67, 1979, 3958, 3958, true, 5, 700},
    {"h200", 141, 4800, 67, 1979, 3958, 3958, true, 5, 700},
    {"b200", 180, 7700, 75, 4500, 9000, 9000, true, 5, 1000},
    {"gb200", 186, 8000, 80, 5000, 10000, 10000, true, 0, 1200},
    {"mi300x", 192, 5300, 163.4, 1307.4, 2614.9, 2614.9, false, 5, 750},
    {"tpu-v5e", 16, 819, 0, 197, 393, 0, false, 0, 0},
    {"tpu-v6e", 32, 1638, 0, 918, 1836, 0, false, 0, 0},
};

// Lanes of 8, 16, 32 GT/s, of which 128 bits in 130 are data.
double pcie_bytes_per_second(int generation) {
  return 16 * 8e9 * (1 << (generation - 3)) / 8 * 128 / 130;
}

TEST(Presets, DevicesAreWhatTheirDatasheetsSay) {
  for (const DatasheetLine& line : kDatasheets) {
    const Hardware machine = combine({.device = line.device}).value();
    const Level& device = *machine.find(LevelKind::kDevice);
    EXPECT_EQ(device.capacity_bytes, static_cast<int64_t>(line.gigabytes * 1e9)) << line.device;
    EXPECT_DOUBLE_EQ(device.read_bytes_per_second, line.memory_gbs * 1e9) << line.device;
    EXPECT_EQ(device.busy_watts.value_or(0), line.watts) << line.device;
    const auto expect_peak = [&](const char* dtype, double tera) {
      const auto peak = device.compute->peak_flops.find(dtype);
      ASSERT_EQ(peak != device.compute->peak_flops.end(), tera > 0) << line.device << dtype;
      if (tera == 0) return;
      EXPECT_DOUBLE_EQ(peak->second, tera * 1e12) << line.device << dtype;
    };
    const double share = line.sparse ? 0.5 : 1;
    expect_peak("f32", line.f32);
    expect_peak("bf16", share * line.bf16);
    expect_peak("f16", share * line.bf16);
    expect_peak("int8", share * line.int8);
    expect_peak("fp8", share * line.fp8);
    for (const Link& link : machine.links) {
      if (line.pcie == 0) continue;
      EXPECT_NEAR(link.bytes_per_second, pcie_bytes_per_second(line.pcie), 2e7) << line.device;
    }
  }
  EXPECT_EQ(std::size(kDatasheets), device_presets().size());
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
