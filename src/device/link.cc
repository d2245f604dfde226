#include "device/link.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "device/pace.h"

namespace sluice::device {
namespace {

class EmulatedLink final : public Link {
 public:
  EmulatedLink(const LaneSpeed& speed, int64_t most_bytes, const base::Clock& clock)
      : speed_(speed),
        from_(static_cast<size_t>(most_bytes), std::byte{1}),
        to_(static_cast<size_t>(most_bytes)),
        pace_(clock) {}

  Status move(int64_t bytes) override {
    SLUICE_CHECK(bytes > 0 && bytes <= most_bytes(), "a link moves what lies at its ends");
    pace_.begin();
    std::memcpy(to_.data(), from_.data(), static_cast<size_t>(bytes));
    const double seconds = speed_.latency_s + static_cast<double>(bytes) / speed_.bytes_per_second;
    pace_.end(std::llround(seconds * 1e9));
    return {};
  }
  int64_t most_bytes() const override { return static_cast<int64_t>(from_.size()); }

 private:
  const LaneSpeed speed_;
  std::vector<std::byte> from_, to_;
  Pace pace_;
};

}  // namespace

Links emulated_links(const EmulatedDevice& device, int64_t most_bytes, const base::Clock& clock) {
  const auto link = [&](const LaneSpeed& speed) {
    return std::make_unique<EmulatedLink>(speed, most_bytes, clock);
  };
  return {link(device.host_to_device), link(device.device_to_host)};
}

}  // namespace sluice::device
