#include "base/whole_file.h"
#include "hardware/hardware.h"

namespace sluice::hardware {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{1} << 20;

}  // namespace

Result<Hardware> read_file(const std::string& path) {
  SLUICE_ASSIGN(const std::string text, base::read_whole_file(path, kMaxFileBytes));
  auto json = base::parse_json(text, {.bytes = static_cast<size_t>(kMaxFileBytes), .depth = 8});
  if (!json) return json.error().in(path);
  auto hardware = from_json(*json);
  if (!hardware) return hardware.error().in(path);
  return hardware;
}

Status write_file(const Hardware& hardware, const std::string& path) {
  return base::write_whole_file(path, to_json(hardware).dump(2) + "\n");
}

}  // namespace sluice::hardware
