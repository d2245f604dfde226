#include <algorithm>

#include "base/check.h"
#include "kernels/op_table.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

constexpr int64_t kMinItemElements = 16384;  // below this a hand-over costs more than the work

// body(row) for all rows, several to an item.
template <class Body>
void over_rows(const Exec& exec, int64_t rows, int64_t dim, const Body& body) {
  const int64_t per_item = std::max<int64_t>(1, kMinItemElements / std::max<int64_t>(dim, 1));
  exec.team->parallel_for((rows + per_item - 1) / per_item, [&](int64_t item) {
    const int64_t last = std::min(rows, (item + 1) * per_item);
    for (int64_t row = item * per_item; row < last; ++row) body(row);
  });
}

}  // namespace

void rms_norm(const Exec& exec, const float* x, int64_t ld_x, const float* weight, float eps,
              int64_t rows, int64_t dim, float* y, int64_t ld_y) {
  over_rows(exec, rows, dim, [&](int64_t row) {
    exec.ops->rms_norm(x + row * ld_x, weight, eps, dim, y + row * ld_y);
  });
}

void silu_mul(const Exec& exec, const float* gate, int64_t ld_gate, const float* up, int64_t ld_up,
              int64_t rows, int64_t dim, float* y, int64_t ld_y) {
  over_rows(exec, rows, dim, [&](int64_t row) {
    exec.ops->silu_mul(gate + row * ld_gate, up + row * ld_up, dim, y + row * ld_y);
  });
}

void combine(const Exec& exec, const float* out, int64_t ld_out, const int32_t* slot_of,
             const float* weight, int64_t tokens, int top_k, int64_t dim, float* y, int64_t ld_y) {
  over_rows(exec, tokens, dim * top_k, [&](int64_t token) {
    exec.ops->combine(out, ld_out, slot_of + token * top_k, weight + token * top_k, top_k, dim,
                      y + token * ld_y);
  });
}

void embed(const Exec& exec, const PackedMatrix& table, const int32_t* ids, int64_t tokens,
           float* out, int64_t ld_out) {
  over_rows(exec, tokens, table.cols,
            [&](int64_t token) { unpack_row(table, ids[token], out + token * ld_out); });
}

void add(const Exec& exec, const float* x, int64_t ld_x, int64_t rows, int64_t dim, float* y,
         int64_t ld_y) {
  over_rows(exec, rows, dim, [&](int64_t row) {
    const float* from = x + row * ld_x;
    float* to = y + row * ld_y;
    for (int64_t i = 0; i < dim; ++i) to[i] = to[i] + from[i];
  });
}

void clamp(const Exec& exec, float* x, int64_t ld_x, int64_t rows, int64_t dim, float limit) {
  over_rows(exec, rows, dim, [&](int64_t row) {
    float* to = x + row * ld_x;
    for (int64_t i = 0; i < dim; ++i) to[i] = std::clamp(to[i], -limit, limit);
  });
}

}  // namespace sluice::kernels
