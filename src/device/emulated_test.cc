#include "device/emulated.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::device {
namespace {

using hardware::Hardware;
using hardware::LevelKind;
using ::testing::HasSubstr;

Hardware machine() {
  Hardware h{.name = "small T4"};
  h.levels.push_back({.name = "host",
                      .kind = LevelKind::kHost,
                      .capacity_bytes = 1 << 30,
                      .read_bytes_per_second = 76e6,
                      .compute = hardware::Compute{.peak_flops = {{"f32", 0.8e9}}}});
  h.levels.push_back({.name = "t4",
                      .kind = LevelKind::kDevice,
                      .capacity_bytes = 16 << 20,
                      .read_bytes_per_second = 300e6,
                      .compute = hardware::Compute{.peak_flops = {{"f16", 65e9}, {"f32", 8e9}}}});
  h.links.push_back({.from = "host", .to = "t4", .bytes_per_second = 16e6, .latency_us = 10});
  h.links.push_back({.from = "t4", .to = "host", .bytes_per_second = 12e6, .latency_us = 20});
  return h;
}

TEST(Emulated, TakesTheSpeedsOfTheMachineDescribed) {
  const auto device = emulated_device(machine());
  ASSERT_TRUE(device.ok()) << device.error().message;
  EXPECT_EQ(device->capacity_bytes, 16 << 20);
  EXPECT_EQ(device->device.flops_per_second, 65e9);
  EXPECT_EQ(device->device.bytes_per_second, 300e6);
  EXPECT_EQ(device->host.flops_per_second, 0.8e9);
  EXPECT_EQ(device->host_to_device.bytes_per_second, 16e6);
  EXPECT_DOUBLE_EQ(device->host_to_device.latency_s, 10e-6);
  EXPECT_EQ(device->device_to_host.bytes_per_second, 12e6);
}

TEST(Emulated, NamesWhatTheDescriptionLacks) {
  Hardware no_device = machine(), no_flops = machine(), no_link = machine();
  no_device.levels.pop_back();
  no_device.links.clear();
  no_flops.levels[0].compute.reset();
  no_link.links.pop_back();
  EXPECT_THAT(emulated_device(no_device).error().message, HasSubstr("lacks a level"));
  EXPECT_THAT(emulated_device(no_flops).error().message, HasSubstr("'host'"));
  EXPECT_THAT(emulated_device(no_link).error().message, HasSubstr("from 't4' to 'host'"));
}

TEST(Emulated, IsNamedByAFile) {
  EXPECT_THAT(parse_device("cuda:0").error().message, HasSubstr("emulated:FILE"));
  EXPECT_THAT(parse_device("emulated:/nowhere.json").error().message, HasSubstr("/nowhere.json"));
}

}  // namespace
}  // namespace sluice::device
