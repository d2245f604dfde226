// The hierarchical roofline as a picture: what each level computes and reads as roofs, the links
// between levels as slopes, and this model's stages as points at the batch that was chosen.
#pragma once

#include <string>

#include "planner/planner.h"

namespace sluice::planner {

// A whole SVG file, which needs nothing else.
std::string roofline_svg(const Question& question, const Answer& answer);

}  // namespace sluice::planner
