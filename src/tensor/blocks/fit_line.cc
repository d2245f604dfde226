#include "tensor/blocks/fit_line.h"

#include "tensor/blocks/run.h"

namespace sluice::tensor {
namespace {

constexpr float kHighestCode = 15;

// How much of the range is tried to be cut off at either end: a run's outermost values may be
// rounded inwards, so that all others get a finer scale.
constexpr float kCuts[] = {0, 0.04f, 0.08f, 0.12f};

struct Sums {
  float codes, squares, products;  // of c, c c, x c
};

Sums sums_of(const float* x, Line line) {
  const float inverse = inverse_of(line.d);
  float codes[kLanes] = {};
  float squares[kLanes] = {};
  float products[kLanes] = {};
  for (int half = 0; half < kRun; half += kLanes) {
    for (int k = 0; k < kLanes; ++k) {
      const float value = x[half + k];
      const float code = round_to_whole(std::clamp((value - line.m) * inverse, 0.0f, kHighestCode));
      codes[k] += code;
      squares[k] += code * code;
      products[k] += value * code;
    }
  }
  return {fold(codes), fold(squares), fold(products)};
}

struct FittedLine {
  Line line;
  float gain;  // what it takes off the sum of squares
};

// The line that is best for the codes of `line`, by the normal equations. `sum` is that of x, m at
// most `highest_m`.
FittedLine refit(const float* x, float sum, Line line, float highest_m) {
  const Sums of = sums_of(x, line);
  const float determinant = kRun * of.squares - of.codes * of.codes;
  Line best{0, sum / kRun};
  if (determinant > 0) {
    best.d = (kRun * of.products - of.codes * sum) / determinant;
    best.m = (sum - best.d * of.codes) / kRun;
  }
  if (best.m > highest_m) {
    best.m = highest_m;
    best.d = of.squares > 0 ? (of.products - highest_m * of.codes) / of.squares : 0;
  }
  // 2 x.w - w.w, of w = d c + m.
  const float square =
      best.d * best.d * of.squares + 2 * best.d * best.m * of.codes + best.m * best.m * kRun;
  return {best, 2 * (best.d * of.products + best.m * sum) - square};
}

}  // namespace

Line fit_line(const float* x, bool negative_m) {
  float low = x[0], high = x[0];
  for (int k = 1; k < kRun; ++k) {
    low = std::min(low, x[k]);
    high = std::max(high, x[k]);
  }
  if (negative_m) low = std::min(low, 0.0f);
  const float range = high - low;
  if (!(range > kSmallestPeak)) return {0, low};
  // Counted from the lowest value, so that no precision goes to a distance from zero.
  float above[kRun];
  for (int k = 0; k < kRun; ++k) above[k] = x[k] - low;
  float lanes[kLanes];
  for (int k = 0; k < kLanes; ++k) lanes[k] = above[k] + above[kLanes + k];
  const float sum = fold(lanes);
  const float highest_m = negative_m ? -low : range;
  FittedLine best{{0, 0}, -1};
  const auto try_line = [&](Line line) {
    const FittedLine fitted = refit(above, sum, line, highest_m);
    if (!(fitted.gain > best.gain)) return false;
    best = fitted;
    return true;
  };
  for (float bottom : kCuts) {
    for (float top : kCuts) try_line({range * (1 - bottom - top) / kHighestCode, range * bottom});
  }
  // A better line may choose better codes.
  for (int again = 0; again < 2 && try_line(best.line); ++again) {
  }
  return {best.line.d, best.line.m + low};
}

void codes_on_line(const float* x, Line line, uint8_t* code) {
  const float inverse = inverse_of(line.d);
  for (int k = 0; k < kRun; ++k) {
    code[k] = static_cast<uint8_t>(
        round_to_whole(std::clamp((x[k] - line.m) * inverse, 0.0f, kHighestCode)));
  }
}

float line_error(const float* x, Line line) {
  const float inverse = inverse_of(line.d);
  float lanes[kLanes] = {};
  for (int half = 0; half < kRun; half += kLanes) {
    for (int k = 0; k < kLanes; ++k) {
      const float value = x[half + k] - line.m;
      const float code = round_to_whole(std::clamp(value * inverse, 0.0f, kHighestCode));
      const float off = value - line.d * code;
      lanes[k] += off * off;
    }
  }
  return fold(lanes);
}

}  // namespace sluice::tensor
