// What engines that do not pin their memory, or do not attend in place, cost the host's memory, in
// bytes that cross it. A store to a line that no cache holds reads the line first.
#pragma once

#include "models/config.h"
#include "planner/candidate.h"

namespace sluice::planner {

// Crossings of each byte that is copied to pinned memory: 0 where nothing is. Beside other work the
// link's own read of the copy counts too, since it takes part of the same bandwidth.
double staging_crossings(Staging staging);

// Crossings of each stored byte of a cache that the host expands before it attends: the copy to
// float32, and that copy repeated for every query head, both written and then read.
// `bytes_per_value`: as it is stored.
double expansion_crossings(const models::AttentionConfig& attention, double bytes_per_value);

}  // namespace sluice::planner
