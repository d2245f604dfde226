#include "planner/host_traffic.h"

#include "base/check.h"

namespace sluice::planner {
namespace {

constexpr double kRead = 1, kWrite = 2;  // crossings; a write with the line's read before it

}  // namespace

double staging_crossings(Staging staging) {
  switch (staging) {
    case Staging::kPinned:
      return 0;
    case Staging::kBeside:
      return kRead + kWrite + kRead;
    case Staging::kBefore:
      return kRead + kWrite;
  }
  base::check_failed("known staging", "a Staging outside its enum", __FILE__, __LINE__);
}

double expansion_crossings(const models::AttentionConfig& attention, double bytes_per_value) {
  const double group = double{1} * attention.q_heads / attention.kv_heads;
  const double expanded = sizeof(float) / bytes_per_value;  // bytes, for each that is stored
  return kRead + (kWrite + kRead) * expanded * (1 + group);
}

}  // namespace sluice::planner
