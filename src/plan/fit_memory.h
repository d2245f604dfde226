// The parts of fit_plan(): what goes where, once batch, lengths and types are chosen. Pure
// functions; `plan` comes with weight_bytes and activation_bytes set. Errors as in fit.h.
#pragma once

#include "memory/embedding_rows.h"
#include "plan/fit.h"

namespace sluice::plan {

// Whole slots that a share of all experts stands for; a share that was made from slots gives them
// back, which its rounding down would not.
int64_t slots_of(double share, int64_t pages);

// Host memory that is left to a run: what is available, and no more than it may hold.
int64_t room_for(const FitWishes& wishes, const FitMachine& machine);

// With the embedding on disk: rows of it in memory at once, which are those that iterations in
// flight may need, and how they are kept; and the bytes that the plan's embedding takes of memory,
// as a table or as rows.
int64_t embedding_rows(const models::ModelConfig& config, const Plan& plan);
memory::EmbeddingRowsShape embedding_shape(const models::ModelConfig& config, const FitModel& model,
                                           const Plan& plan);
int64_t embedding_bytes(const models::ModelConfig& config, const FitModel& model, const Plan& plan);
// embedding_rows() where they take less than the table would, else 0.
int64_t smaller_embedding(const models::ModelConfig& config, const FitModel& model, Plan plan);

// Everything in host memory, but for what of the cache may lie on disk and finds no room.
Result<Plan> fit_resident(const models::ModelConfig& config, const FitWishes& wishes,
                          const FitMachine& machine, Plan plan);

// The weights that are not experts' stay in host memory, of the embedding its table or the rows
// that iterations need, and so do as many experts as find room.
Result<Plan> fit_paged(const models::ModelConfig& config, const FitModel& model,
                       const FitWishes& wishes, const FitMachine& machine, Plan plan);

// All weights and the cache in host memory; on the device a copy of the weights that are not
// experts', activations, and as many experts as find room. With attention on the device also its
// share of the cache, which then is not on the host, and windows for the rest.
Result<Plan> fit_device(const models::ModelConfig& config, const FitModel& model,
                        const FitWishes& wishes, const FitMachine& machine, Plan plan);

}  // namespace sluice::plan
