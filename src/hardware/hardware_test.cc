#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "hardware/hardware.h"

#include "base/test_path.h"

namespace sluice::hardware {
namespace {

using ::testing::HasSubstr;

Hardware workstation() {
  Hardware hardware;
  hardware.name = "workstation";
  hardware.source = Source::kMeasured;
  Level host;
  host.name = "host";
  host.capacity_bytes = int64_t{64} << 30;
  host.read_bytes_per_second = 80e9;
  host.write_bytes_per_second = 40e9;
  host.copy_bytes_per_second = 30e9;
  host.idle_watts = 20.0;
  host.busy_watts = 125.0;
  host.memory_nodes = 2;
  host.thread_rates = {{1, 20e9, 10e9, 8e9}, {16, 80e9, 40e9, 30e9}};
  host.node_rates = {{0, 41e9}, {1, 40e9}};
  host.compute =
      Compute{"Some CPU",
              "avx2",
              16,
              {{"f32", 1.2e12}, {"int8", 4.8e12}},
              {{"bf16", 1, 70e9, 70e9}, {"q8_0", 1, 1e11, 6e10}, {"q8_0", 8, 5e11, 4e10}},
              {{"bf16", 1, 30e9}, {"bf16", 32, 9e11}},
              {{"bf16", 1, 1e9}, {"bf16", 16, 8e9}},
              4.5};
  host.sources = {{"busy_watts", Source::kStated}, {"peak_flops", Source::kAssumed}};
  host.origin = "the maker's datasheet";
  Level disk;
  disk.name = "nvme0";
  disk.kind = LevelKind::kDisk;
  disk.capacity_bytes = int64_t{1} << 40;
  disk.read_bytes_per_second = 6.5e9;
  disk.busy_watts = 8.0;
  disk.disk_reads =
      DiskReads{1 << 20, 8, "io_uring, direct", "/data", {{1 << 20, 1, 2e9}, {1 << 20, 8, 6.5e9}}};
  hardware.levels = {host, disk};
  hardware.links = {{"nvme0", "host", 6.1e9, 80.0, 5e9, {{"latency_us", Source::kAssumed}}, "-"}};
  return hardware;
}

std::string error_of(Json json) {
  const auto read = from_json(json);
  return read.ok() ? "no error" : read.error().message;
}

TEST(HardwareJson, ComesBackAsItWas) {
  const auto read = from_json(to_json(workstation()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, workstation());
  EXPECT_EQ(read->find(LevelKind::kDisk)->name, "nvme0");
  EXPECT_EQ(read->find("nvme0")->disk_reads->queue_depth, 8);
  EXPECT_FALSE(read->find("host")->disk_reads.has_value());
  EXPECT_EQ(read->find("host")->compute->peak_flops.at("int8"), 4.8e12);
  EXPECT_EQ(read->find("cuda0"), nullptr);
}

TEST(HardwareJson, RefusesWhatItDoesNotKnowByName) {
  const Json good = to_json(workstation());
  Json json = good;
  json["levels"][0]["speed"] = 3;
  EXPECT_THAT(error_of(json), HasSubstr("levels[0]: unknown field 'speed'"));
  json = good;
  json["levels"][0]["kind"] = "tape";
  EXPECT_THAT(error_of(json), HasSubstr("not 'tape'"));
  json = good;
  json["levels"][0]["read_bytes_per_second"] = -1.0;
  EXPECT_THAT(error_of(json), HasSubstr("'read_bytes_per_second' must be a positive number"));
  json = good;
  json["levels"][0]["memory_nodes"] = 0;
  EXPECT_THAT(error_of(json), HasSubstr("'memory_nodes' must be 1 to"));
  json = good;
  json["levels"][0].erase("capacity_bytes");
  EXPECT_THAT(error_of(json), HasSubstr("capacity_bytes"));
  json = good;
  json["levels"][1]["name"] = "host";
  EXPECT_THAT(error_of(json), HasSubstr("'host' is used twice"));
  json = good;
  json["links"][0]["to"] = "moon";
  EXPECT_THAT(error_of(json), HasSubstr("no level is called 'moon'"));
  json = good;
  json["levels"][0]["compute"]["peak_flops"]["fp3"] = 1.0;
  EXPECT_THAT(error_of(json), HasSubstr("unknown field 'fp3'"));
  json = good;
  json["levels"][0]["disk_reads"] = json["levels"][1]["disk_reads"];
  EXPECT_THAT(error_of(json), HasSubstr("levels[0]: only a disk has 'disk_reads'"));
  json = good;
  json["levels"][1]["disk_reads"]["queue_depth"] = 0;
  EXPECT_THAT(error_of(json), HasSubstr("levels[1].disk_reads: 'queue_depth' must be positive"));
  json = good;
  json["levels"][1]["disk_reads"]["request_bytes"] = -4096;
  EXPECT_THAT(error_of(json), HasSubstr("'request_bytes' must be positive"));
  json = good;
  json["source"] = "hearsay";
  EXPECT_THAT(error_of(json), HasSubstr("must be measured, stated or assumed, not 'hearsay'"));
  json = good;
  json["levels"][1]["disk_reads"].erase("method");
  EXPECT_THAT(error_of(json), HasSubstr("method"));
  json = good;
  json["hardware_version"] = 1;
  EXPECT_THAT(error_of(json), HasSubstr("hardware_version 1"));
  json = good;
  json["levels"] = 3;
  EXPECT_THAT(error_of(json), HasSubstr("'levels' must be an array"));
  EXPECT_NE(error_of(Json(7)), "no error");
}

TEST(HardwareJson, RefusesRatesOutOfOrderAndSourcesOfNothing) {
  const Json good = to_json(workstation());
  Json json = good;
  json["levels"][0]["compute"]["kernel_rates"][2]["tokens_per_expert"] = 1;
  EXPECT_THAT(error_of(json), HasSubstr("kernel_rates[2]: it must stand in order"));
  json = good;
  json["levels"][0]["compute"]["kernel_rates"][0]["tokens_per_expert"] = 0;
  EXPECT_THAT(error_of(json), HasSubstr("'tokens_per_expert' must be positive"));
  json = good;
  json["levels"][0]["compute"]["attend_rates"][1]["queries_per_key"] = 1;
  EXPECT_THAT(error_of(json), HasSubstr("attend_rates[1]: it must stand in order"));
  json = good;
  json["levels"][0]["thread_rates"][0]["copy_bytes_per_second"] = 0.0;
  EXPECT_THAT(error_of(json), HasSubstr("levels[0].thread_rates[0]: 'copy_bytes_per_second'"));
  json = good;
  json["levels"][0]["node_rates"][1]["node"] = 0;
  EXPECT_THAT(error_of(json), HasSubstr("node_rates[1]: it must stand in order"));
  json = good;
  json["levels"][1]["node_rates"] = json["levels"][0]["node_rates"];
  EXPECT_THAT(error_of(json), HasSubstr("levels[1]: only a host has 'node_rates'"));
  json = good;
  json["levels"][1]["sources"] = Json{{"write_bytes_per_second", "stated"}};
  EXPECT_THAT(error_of(json),
              HasSubstr("levels[1].sources: there is no field 'write_bytes_per_second'"));
  json = good;
  json["links"][0]["sources"]["latency_us"] = "felt";
  EXPECT_THAT(error_of(json), HasSubstr("not 'felt'"));
}

TEST(HardwareJson, SaysWhereEachFigureCameFrom) {
  const Hardware machine = workstation();
  EXPECT_EQ(machine.source_of(machine.levels[0], "read_bytes_per_second"), Source::kMeasured);
  EXPECT_EQ(machine.source_of(machine.levels[0], "busy_watts"), Source::kStated);
  EXPECT_EQ(machine.source_of(machine.links[0], "latency_us"), Source::kAssumed);
}

TEST(HardwareFile, IsWrittenWholeAndReadBack) {
  const std::string path = base::test_path("hardware_test.json");
  ASSERT_TRUE(write_file(workstation(), path).ok());
  const auto read = read_file(path);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, workstation());
  std::ofstream(path) << "{\"hardware_version\": 1,";
  EXPECT_THAT(read_file(path).error().message, HasSubstr("hardware_test.json"));
  std::remove(path.c_str());
  EXPECT_EQ(read_file(path).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(write_file(workstation(), "/nowhere/at/all.json").error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace sluice::hardware
