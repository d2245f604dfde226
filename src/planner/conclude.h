// From what a search found to the answer: the finalists through the real scheduler and schedule.
#pragma once

#include "planner/planner.h"

namespace sluice::planner {

// Takes the best of the finalists as they are replayed, if the question wants that, into `answer`:
// its candidate, plan and prediction; a batch of 0 if none may be taken. Beside a device the
// roofline does not know how a pass fills and drains, which more and smaller micro-batches shorten:
// the schedules of the best are replayed with other counts of them too, and with all of the
// workload at once where a batch is nearly that.
void conclude(const Question& question, const SearchOptions& options, const Search& found,
              Answer& answer);

}  // namespace sluice::planner
