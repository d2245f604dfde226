#include <algorithm>

#include "planner/hrm.h"

namespace sluice::planner {
namespace {

double roof(const schedule::Rates& rates, double intensity) {
  return std::min(rates.flops_per_second, rates.bytes_per_second * intensity);
}

}  // namespace

TurningPoints turning_points(const schedule::Rates& at_from, const schedule::Rates& at_to,
                             double link_bytes_per_second, double intensity_at_from,
                             double intensity_at_to) {
  return {.stay = roof(at_from, intensity_at_from) / link_bytes_per_second,  // eq. 9
          .link = roof(at_to, intensity_at_to) / link_bytes_per_second};     // eq. 10
}

}  // namespace sluice::planner
