// What every builder says of a stage: its task, its load and its predicted time.
#pragma once

#include "schedule/builder.h"

namespace sluice::schedule {

// Adds a compute task for `stage` on `lane`, predicted if the context has a cost model.
// `routing` gives expert groups their load.
TaskIndex add_stage(const Context& context, Lane lane, const models::Stage& stage,
                    const RoutingOutcome* routing, Subgraph& out);

// Adds a transfer on `lane`, predicted if the context has a cost model.
TaskIndex add_transfer(const Context& context, Lane lane, const Transfer& transfer, int layer,
                       int64_t rank, Subgraph& out);

// Parts of at most plan.logit_rows rows that the head runs in.
int head_parts(const Context& context);

}  // namespace sluice::schedule
