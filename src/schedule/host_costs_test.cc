#include "schedule/host_costs.h"

#include <gtest/gtest.h>

namespace sluice::schedule {
namespace {

using tensor::DType;

hardware::Hardware machine() {
  hardware::Hardware hardware{.name = "two cores", .levels = {{.name = "host"}}};
  hardware::Level& host = hardware.levels.front();
  host.read_bytes_per_second = 30e9;
  host.compute.emplace();
  host.compute->peak_flops = {{"f32", 100e9}, {"int8", 800e9}};
  host.compute->kernel_rates = {{"q8_0", 1, 50e9, 25e9}, {"q8_0", 64, 500e9, 4e9}};
  host.compute->attend_rates = {{"bf16", 1, 20e9}, {"q8", 1, 30e9}};
  host.compute->launch_us = 2.0;
  return hardware;
}

TEST(HostCosts, AreTheCurvesOfTheFormatsThatAreKept) {
  const auto costs = host_costs(
      machine(), {.expert = DType::kQ8_0, .dense = DType::kBF16, .kv = kernels::KvDType::kQ8});
  ASSERT_TRUE(costs);
  EXPECT_EQ(costs->host_experts, (Curve{{1, 50e9}, {64, 500e9}}));
  EXPECT_EQ(costs->host_attend, (Curve{{1, 30e9}}));
  // Nothing was measured of bf16: two FLOPs for each two bytes read, up to the peak.
  EXPECT_DOUBLE_EQ(rate_at(costs->host_dense, 1), 30e9);
  EXPECT_DOUBLE_EQ(rate_at(costs->host_dense, 1024), 100e9);
  const Rates& rates = costs->rates[static_cast<size_t>(Lane::kHostCompute)];
  EXPECT_DOUBLE_EQ(rates.bytes_per_second, 30e9);
  EXPECT_DOUBLE_EQ(rates.latency_s, 6e-6);  // three kernels to a stage
  EXPECT_DOUBLE_EQ(costs->rates[static_cast<size_t>(Lane::kDisk)].bytes_per_second, 0);
}

TEST(HostCosts, HaveTheDisksRateWhereThereIsADisk) {
  hardware::Hardware hardware = machine();
  hardware.levels.push_back(
      {.name = "nvme0", .kind = hardware::LevelKind::kDisk, .read_bytes_per_second = 2e9});
  const auto costs = host_costs(hardware, {});
  ASSERT_TRUE(costs);
  EXPECT_DOUBLE_EQ(costs->rates[static_cast<size_t>(Lane::kDisk)].bytes_per_second, 2e9);
}

TEST(HostCosts, NameWhatIsNotStated) {
  hardware::Hardware hardware = machine();
  hardware.levels.front().compute.reset();
  const auto costs = host_costs(hardware, {});
  ASSERT_FALSE(costs);
  EXPECT_NE(costs.error().message.find("arithmetic of 'host'"), std::string::npos);
  hardware.levels.clear();
  EXPECT_FALSE(host_costs(hardware, {}));
}

TEST(HostCosts, FormatsAreThoseOfMostWeights) {
  models::ModelWeights weights;
  weights.head = {.dtype = DType::kQ6_K, .rows = 100, .cols = 256};
  weights.layers.resize(1);
  models::LayerWeights& layer = weights.layers.front();
  layer.q = {.dtype = DType::kQ4_K, .rows = 300, .cols = 256};
  layer.experts.resize(2);
  for (models::FfnWeights& ffn : layer.experts) {
    ffn.gate = ffn.up = {.dtype = DType::kQ4_K, .rows = 512, .cols = 256};
    ffn.down = {.dtype = DType::kQ6_K, .rows = 256, .cols = 512};
  }
  const Formats formats = formats_of(weights, kernels::KvDType::kF16);
  EXPECT_EQ(formats.dense, DType::kQ4_K);
  EXPECT_EQ(formats.expert, DType::kQ4_K);
  EXPECT_EQ(formats.kv, kernels::KvDType::kF16);
  // Without experts their format is that of the rest.
  layer.experts.clear();
  EXPECT_EQ(formats_of(weights, kernels::KvDType::kF16).expert, DType::kQ4_K);
}

}  // namespace
}  // namespace sluice::schedule
