// The scalar truth: each op as plainly as it can be written, serial, with the contracts of
// kernels/ops.h. The order of every sum is spelled out here; every backend gives these bits.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/ops.h"

namespace sluice::kernels::reference {

// exp as all ops compute it: within 2 ulp, and 0 where the result would be below the smallest
// normal float.
float exp(float x);

// Element i is added to partial sum i % 16 (`add` does it); the partial sums are folded in halves.
float fold(const float (&partial)[16]);

void rms_norm(const float* x, int64_t ld_x, const float* weight, float eps, int64_t rows,
              int64_t dim, float* y, int64_t ld_y);
void linear(const PackedMatrix& w, const float* x, int64_t ld_x, int64_t tokens, float* y,
            int64_t ld_y, const LinearOptions& options = {});
void expert_gate_up(std::span<const ExpertGroup> groups, const int32_t* token_of_slot,
                    const float* x, int64_t ld_x, float* hidden, int64_t ld_hidden);
void expert_down(std::span<const ExpertGroup> groups, const float* hidden, int64_t ld_hidden,
                 float* out, int64_t ld_out);
void combine(const float* out, int64_t ld_out, const int32_t* slot_of, const float* weight,
             int64_t tokens, int top_k, int64_t dim, float* y, int64_t ld_y);
void silu_mul(const float* gate, int64_t ld_gate, const float* up, int64_t ld_up, int64_t rows,
              int64_t dim, float* y, int64_t ld_y);
void rope(float* x, int64_t ld_x, int64_t tokens, int heads, int head_dim, int rotary_dim,
          const int32_t* positions, const float* inv_freq, int64_t ld_inv_freq, float scale);
void route(const float* logits, int64_t ld_logits, int64_t tokens, int experts,
           const RouterRule& rule, int32_t* expert, float* weight);
void store_kv(const KvLayerView& cache, const float* keys, int64_t ld_keys, const float* values,
              int64_t ld_values, const int64_t* slots, int64_t tokens);
void attend(const AttendArgs& args);
void embed(const PackedMatrix& table, const int32_t* ids, int64_t tokens, float* out,
           int64_t ld_out);
void add(const float* x, int64_t ld_x, int64_t rows, int64_t dim, float* y, int64_t ld_y);
void clamp(float* x, int64_t ld_x, int64_t rows, int64_t dim, float limit);
void argmax(const float* logits, int64_t ld, int64_t rows, int64_t dim, int32_t* index);
void log_sum_exp(const float* logits, int64_t ld, int64_t rows, int64_t dim, float* out);

}  // namespace sluice::kernels::reference
