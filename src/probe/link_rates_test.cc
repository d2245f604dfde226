#include "probe/link_rates.h"

#include <gtest/gtest.h>

namespace sluice::probe {
namespace {

hardware::Hardware machine() {
  hardware::Hardware hardware;
  hardware.name = "emulated";
  hardware::Level host{.name = "host", .capacity_bytes = 1 << 30, .read_bytes_per_second = 1e9};
  host.compute = hardware::Compute{.model = "none", .threads = 1, .peak_flops = {{"f32", 1e9}}};
  hardware::Level device = host;
  device.name = "device";
  device.kind = hardware::LevelKind::kDevice;
  hardware.levels = {host, device};
  hardware.links = {{"host", "device", 40e6, 2000.0}, {"device", "host", 25e6, 3000.0}};
  hardware.links[0].origin = "a test";
  return hardware;
}

TEST(LinkRates, AgreeWithWhatTheEmulatedMachineStates) {
  hardware::Hardware hardware = machine();
  const auto emulated = device::emulated_device(hardware);
  ASSERT_TRUE(emulated.ok()) << emulated.error().message;
  const device::Links links = device::emulated_links(*emulated, int64_t{4} << 20);
  // Links of their own: each is as fast while the other is busy.
  const auto agree = [](const LinkRate& found, const hardware::Link& stated) {
    const auto near = [](double a, double b) { return a > 0.9 * b && a < 1.1 * b; };
    return near(found.bytes_per_second, stated.bytes_per_second) &&
           near(found.together_bytes_per_second, stated.bytes_per_second) &&
           near(found.latency_us, stated.latency_us);
  };
  // A machine that wakes threads tens of milliseconds late measures nothing; then once more.
  auto rates = measure_links(links, 1500);
  for (int tries = 1; tries < 8; ++tries) {
    ASSERT_TRUE(rates.ok()) << rates.error().message;
    if (agree(rates->host_to_device, hardware.links[0]) &&
        agree(rates->device_to_host, hardware.links[1]))
      break;
    rates = measure_links(links, 1500);
  }
  ASSERT_TRUE(rates.ok()) << rates.error().message;
  EXPECT_TRUE(agree(rates->host_to_device, hardware.links[0]))
      << rates->host_to_device.bytes_per_second << " " << rates->host_to_device.latency_us;
  EXPECT_TRUE(agree(rates->device_to_host, hardware.links[1]))
      << rates->device_to_host.bytes_per_second << " " << rates->device_to_host.latency_us;

  set_links(hardware, *rates);
  ASSERT_EQ(hardware.links.size(), 2u);
  EXPECT_EQ(hardware.links[0].latency_us, rates->host_to_device.latency_us);
  EXPECT_EQ(hardware.source_of(hardware.links[0], "latency_us"), hardware::Source::kMeasured);
  EXPECT_EQ(hardware.links[0].origin, "a test");
  const auto back = hardware::from_json(hardware::to_json(hardware));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(*back, hardware);
}

// A link that fails at its third transfer.
class Broken final : public device::Link {
 public:
  Status move(int64_t) override {
    if (++moves_ < 3) return {};
    return Error{ErrorCode::kIo, "the link is down"};
  }
  int64_t most_bytes() const override { return 4096; }

 private:
  int moves_ = 0;
};

TEST(LinkRates, PassOnWhatADeviceSays) {
  const device::Links links{std::make_unique<Broken>(), std::make_unique<Broken>()};
  const auto rates = measure_links(links, 10);
  ASSERT_FALSE(rates.ok());
  EXPECT_EQ(rates.error().message, "the link is down");
}

}  // namespace
}  // namespace sluice::probe
