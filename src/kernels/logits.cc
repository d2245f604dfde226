#include <cmath>

#include "kernels/op_table.h"
#include "kernels/ops.h"

namespace sluice::kernels {

void argmax(const Exec& exec, const float* logits, int64_t ld, int64_t rows, int64_t dim,
            int32_t* index) {
  exec.team->parallel_for(rows, [&](int64_t row) {
    const float* x = logits + row * ld;
    const float top = exec.ops->row_max(x, dim);
    int64_t at = 0;
    while (at < dim && x[at] != top) ++at;
    index[row] = static_cast<int32_t>(at < dim ? at : 0);  // a row of NaN has no maximum
  });
}

void log_sum_exp(const Exec& exec, const float* logits, int64_t ld, int64_t rows, int64_t dim,
                 float* out) {
  exec.team->parallel_for(rows, [&](int64_t row) {
    const float* x = logits + row * ld;
    const float top = exec.ops->row_max(x, dim);
    out[row] =
        top + static_cast<float>(std::log(static_cast<double>(exec.ops->sum_exp(x, dim, top))));
  });
}

}  // namespace sluice::kernels
