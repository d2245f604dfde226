#include <algorithm>

#include "base/check.h"
#include "kernels/op_table.h"
#include "kernels/ops.h"

namespace sluice::kernels {

void quantize_rows(const Exec& exec, const float* x, int64_t ld_x, int64_t rows, int64_t cols,
                   const QuantizedRows& out) {
  SLUICE_CHECK(cols % kSpan == 0 && out.cols == cols, "rows of whole spans");
  constexpr int64_t kValuesPerItem = 16384;
  const int64_t rows_per_item = std::max<int64_t>(1, kValuesPerItem / cols);
  exec.team->parallel_for((rows + rows_per_item - 1) / rows_per_item, [&](int64_t item) {
    const int64_t last = std::min(rows, (item + 1) * rows_per_item);
    for (int64_t row = item * rows_per_item; row < last; ++row)
      exec.ops->blocks->quantize_row(x + row * ld_x, cols, out.data + row * out.row_bytes(cols));
  });
}

}  // namespace sluice::kernels
