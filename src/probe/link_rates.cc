#include "probe/link_rates.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace sluice::probe {
namespace {

// A large transfer takes at least so long, so that its latency is little beside it.
constexpr double kLargeSeconds = 0.02;
constexpr int64_t kFirstBytes = int64_t{4} << 10;
// Between transfers, so that nothing of the one before is left: emulated links take up at once what
// a late wake-up has cost.
constexpr auto kPause = std::chrono::milliseconds(1);
constexpr int kLeastTries = 5;

double now(const base::Clock& clock) { return base::seconds(clock.now().time_since_epoch()); }

Result<double> time_of(device::Link& link, int64_t bytes, const base::Clock& clock) {
  clock.sleep_until(clock.now() + kPause);
  const double start = now(clock);
  SLUICE_TRY(link.move(bytes));
  return now(clock) - start;
}

// The least of several, until `end`: whoever waits for a link may be woken late.
Result<double> best_time(device::Link& link, int64_t bytes, double end, const base::Clock& clock) {
  SLUICE_ASSIGN(double best, time_of(link, bytes, clock));
  for (int tries = 1; tries < kLeastTries || now(clock) < end; ++tries) {
    SLUICE_ASSIGN(const double next, time_of(link, bytes, clock));
    best = std::min(best, next);
  }
  return best;
}

Result<int64_t> large_bytes(device::Link& link, const base::Clock& clock) {
  int64_t bytes = std::min(kFirstBytes, link.most_bytes());
  while (bytes * 2 <= link.most_bytes()) {
    SLUICE_ASSIGN(const double seconds, best_time(link, bytes, 0.0, clock));
    if (seconds >= kLargeSeconds) break;
    bytes *= 2;
  }
  return bytes;
}

double rate(int64_t bytes, double seconds, double latency) {
  return static_cast<double>(bytes) / std::max(seconds - latency, 1e-9);
}

// One direction, and what it was measured with.
struct Direction {
  device::Link* link = nullptr;
  LinkRate* rate = nullptr;
  int64_t bytes = 0;
  Result<double> together = 0.0;  // seconds of a large transfer
};

Status measure_alone(Direction& direction, double seconds, const base::Clock& clock) {
  SLUICE_ASSIGN(const double latency,
                best_time(*direction.link, 1, now(clock) + seconds / 2, clock));
  SLUICE_ASSIGN(direction.bytes, large_bytes(*direction.link, clock));
  SLUICE_ASSIGN(const double large,
                best_time(*direction.link, direction.bytes, now(clock) + seconds / 2, clock));
  direction.rate->latency_us = latency * 1e6;
  direction.rate->bytes_per_second = rate(direction.bytes, large, latency);
  return {};
}

// Both begin together and go on for as long; what one does after the other has ended is a part of
// one transfer.
Status measure_together(Direction& up, Direction& down, double seconds, const base::Clock& clock) {
  const double end = now(clock) + seconds;
  const auto measure = [&](Direction& one) {
    one.together = best_time(*one.link, one.bytes, end, clock);
  };
  std::thread other([&] { measure(down); });
  measure(up);
  other.join();
  for (Direction* one : {&up, &down}) {
    if (!one->together) return one->together.error();
    one->rate->together_bytes_per_second =
        rate(one->bytes, *one->together, one->rate->latency_us * 1e-6);
  }
  return {};
}

void set_link(hardware::Hardware& hardware, const std::string& from, const std::string& to,
              const LinkRate& rate) {
  const auto is_it = [&](const hardware::Link& link) { return link.from == from && link.to == to; };
  auto at = std::ranges::find_if(hardware.links, is_it);
  if (at == hardware.links.end()) {
    hardware.links.push_back({.from = from, .to = to});
    at = hardware.links.end() - 1;
  }
  at->bytes_per_second = rate.bytes_per_second;
  at->together_bytes_per_second = rate.together_bytes_per_second;
  at->latency_us = rate.latency_us;
  at->sources.clear();
  if (hardware.source == hardware::Source::kMeasured) return;
  for (const char* field : {"bytes_per_second", "together_bytes_per_second", "latency_us"})
    at->sources[field] = hardware::Source::kMeasured;
}

}  // namespace

Result<LinkRates> measure_links(const device::Links& links, int64_t time_ms,
                                const base::Clock& clock) {
  LinkRates rates;
  Direction up{.link = links.host_to_device.get(), .rate = &rates.host_to_device};
  Direction down{.link = links.device_to_host.get(), .rate = &rates.device_to_host};
  const double third = static_cast<double>(time_ms) * 1e-3 / 3;
  SLUICE_TRY(measure_alone(up, third, clock));
  SLUICE_TRY(measure_alone(down, third, clock));
  SLUICE_TRY(measure_together(up, down, third, clock));
  return rates;
}

void set_links(hardware::Hardware& hardware, const LinkRates& rates) {
  const hardware::Level* host = hardware.find(hardware::LevelKind::kHost);
  const hardware::Level* device = hardware.find(hardware::LevelKind::kDevice);
  SLUICE_CHECK(host != nullptr && device != nullptr, "links join a host and a device");
  set_link(hardware, host->name, device->name, rates.host_to_device);
  set_link(hardware, device->name, host->name, rates.device_to_host);
}

}  // namespace sluice::probe
