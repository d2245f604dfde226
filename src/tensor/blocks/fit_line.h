// The scale and minimum of a run of 32 values with codes from 0 to 15: w = d * code + m.
#pragma once

#include <cstdint>

namespace sluice::tensor {

struct Line {
  float d, m;
};

// The line of least squared error found. `negative_m`: m may not be above zero.
Line fit_line(const float* x, bool negative_m);

// The codes nearest to `x` on a line.
void codes_on_line(const float* x, Line line, uint8_t* code);

// The squared error of those codes.
float line_error(const float* x, Line line);

}  // namespace sluice::tensor
