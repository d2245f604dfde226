// Bars and heat lines out of Unicode's block elements.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace sluice::batch {

// `share` (0..1) of `cells` character cells, to an eighth of a cell, padded with blanks.
std::string bar(double share, int cells);

// One cell per value, in eighths of the largest; a value above 0 is never blank. More values than
// `max_cells` are gathered into neighbouring cells, of which each shows its largest.
std::string heat(std::span<const double> values, int max_cells);

// How many character cells `text` takes, every code point one.
int cells(const std::string& text);

// `text` padded with blanks on the right (or left) to `width` cells; a longer one is as it was.
std::string pad(const std::string& text, int width);
std::string pad_left(const std::string& text, int width);

// "93 %", "0.4 %"; "-" when it is not a number.
std::string percent(double share);

// 1234.5 -> "1,235", 12.34 -> "12.3": for rates.
std::string rate(double per_second);

}  // namespace sluice::batch
