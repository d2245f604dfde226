#include "probe/probe.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "base/sanitized.h"
#include "base/test_path.h"

namespace sluice::probe {
namespace {

ProbeOptions quick(kernels::Isa isa, int threads) {
  const int64_t read_bytes = int64_t{base::address_sanitized() ? 4 : 32} << 20;
  return {.threads = threads, .isa = isa, .read_bytes = read_bytes, .time_ms = 5};
}

TEST(Probe, MeasuresEveryIsaOfThisCpu) {
  for (kernels::Isa isa : kernels::available_isas()) {
    const auto hardware = probe(quick(isa, 2));
    ASSERT_TRUE(hardware.ok()) << hardware.error().message;
    const hardware::Level* host = hardware->find(hardware::LevelKind::kHost);
    ASSERT_NE(host, nullptr);
    // Between the slowest and the fastest machine that could run this.
    EXPECT_GT(host->read_bytes_per_second, 1e7);
    EXPECT_LT(host->read_bytes_per_second, 1e14);
    EXPECT_GT(host->compute->peak_flops.at("f32"), 1e7);
    EXPECT_LT(host->compute->peak_flops.at("f32"), 1e14);
    EXPECT_EQ(host->compute->peak_flops.contains("int8"), isa != kernels::Isa::kScalar);
    EXPECT_GT(host->capacity_bytes, int64_t{1} << 28);
    EXPECT_EQ(host->compute->isa, kernels::name(isa));
  }
}

TEST(Probe, ACompleteOneHasRatesByThreadsAndCurvesOfKernels) {
  const std::string path = base::test_path("probe_complete.json");
  std::remove(path.c_str());
  ProbeOptions options = quick(kernels::best_isa(), 2);
  ASSERT_TRUE(load_or_probe(path, options).ok());
  options.complete = true;
  double share = -1.0;
  options.progress = [&](const std::string& what, double done) {
    EXPECT_NE(what, "");
    EXPECT_GE(done, share);
    share = done;
  };
  // What is kept is not complete: measured again, and then it is.
  const auto probed = load_or_probe(path, options);
  ASSERT_TRUE(probed.ok()) << probed.error().message;
  EXPECT_FALSE(probed->from_cache);
  EXPECT_DOUBLE_EQ(share, 1.0);
  EXPECT_TRUE(load_or_probe(path, options)->from_cache);
  EXPECT_TRUE(load_or_probe(path, quick(kernels::best_isa(), 2))->from_cache);
  const hardware::Level& host = *probed->hardware.find(hardware::LevelKind::kHost);
  ASSERT_EQ(host.thread_rates.size(), 2u);
  EXPECT_EQ(host.thread_rates[1].threads, 2);
  for (const hardware::ThreadRate& rate : host.thread_rates) {
    EXPECT_GT(rate.read_bytes_per_second, 1e7);
    EXPECT_GT(rate.write_bytes_per_second, 1e7);
    EXPECT_GT(rate.copy_bytes_per_second, 1e7);
  }
  EXPECT_EQ(host.copy_bytes_per_second, host.thread_rates[1].copy_bytes_per_second);
  ASSERT_EQ(host.compute->kernel_rates.size(), 7u * 9u);
  ASSERT_EQ(host.compute->attend_rates.size(), 4u * 7u);
  for (const hardware::AttendRate& rate : host.compute->attend_rates) {
    EXPECT_GT(rate.flops_per_second, 1e7) << rate.format;
    EXPECT_LT(rate.flops_per_second, 1e13) << rate.format;  // peaks measured meanwhile may be low
  }
  ASSERT_EQ(host.compute->store_rates.size(), 4u * 4u);
  for (const hardware::StoreRate& rate : host.compute->store_rates)
    EXPECT_GT(rate.bytes_per_second, 1e6) << rate.format;
  EXPECT_GT(*host.compute->launch_us, 0);
  for (const hardware::KernelRate& rate : host.compute->kernel_rates) {
    // Two operations for each weight and token: flops over bytes follow from the format.
    const double per_byte = rate.flops_per_second / rate.bytes_per_second;
    const double bytes_per_weight = 2.0 * static_cast<double>(rate.tokens_per_expert) / per_byte;
    EXPECT_GT(bytes_per_weight, 0.4) << rate.format;
    EXPECT_LT(bytes_per_weight, 4.1) << rate.format;
  }
  std::remove(path.c_str());
}

TEST(Probe, IsKeptUntilSomethingChanges) {
  const std::string path = base::test_path("probe.json");
  std::remove(path.c_str());
  const ProbeOptions options = quick(kernels::best_isa(), 1);
  const auto first = load_or_probe(path, options);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_FALSE(first->from_cache);
  EXPECT_EQ(first->cache_problem, "");
  const auto second = load_or_probe(path, options);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->from_cache);
  EXPECT_EQ(second->hardware, first->hardware);
  EXPECT_FALSE(load_or_probe(path, quick(kernels::best_isa(), 2))->from_cache);
  EXPECT_FALSE(load_or_probe(path, quick(kernels::Isa::kScalar, 2))->from_cache);
  std::remove(path.c_str());
  const auto unkept = load_or_probe("/nowhere/at/all.json", options);
  ASSERT_TRUE(unkept.ok());
  EXPECT_NE(unkept->cache_problem, "");
}

}  // namespace
}  // namespace sluice::probe
