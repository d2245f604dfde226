#include <algorithm>

#include "base/check.h"
#include "kernels/item_rows.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

struct Rows {
  int64_t first;
  int64_t last;
};

// y[t, r - range.first] for the rows of `range`, which starts at a panel.
void multiply(const Exec& exec, const PackedMatrix& w, Rows range, const float* x, int64_t ld_x,
              int64_t tokens, float* y, int64_t ld_y, const LinearOptions& options) {
  SLUICE_CHECK(range.first % kPanelRows == 0, "rows of a product start at a panel");
  SLUICE_CHECK(range.last <= w.rows, "rows of the matrix");
  const int64_t first_panel = range.first / kPanelRows;
  const int64_t panels = (range.last + kPanelRows - 1) / kPanelRows - first_panel;
  const int64_t bytes = panel_bytes(w.dtype, w.cols);
  const GemmPlan plan = plan_gemm(panels, tokens, exec.team->threads());
  exec.team->parallel_for(plan.items(), [&](int64_t item) {
    const int64_t from_panel = item / plan.token_items * plan.panels_per_item;
    const int64_t item_panels = std::min(plan.panels_per_item, panels - from_panel);
    const int64_t from_token = item % plan.token_items * plan.tokens_per_item;
    const int64_t item_tokens = std::min(plan.tokens_per_item, tokens - from_token);
    if (item_tokens <= 0) return;
    ItemRows rows(w, x, ld_x, options.quantized);
    for (int64_t t = 0; t < item_tokens; ++t) rows.set(t, from_token + t);
    const std::byte* base = w.data + (first_panel + from_panel) * bytes;
    rows.for_each(
        *exec.ops, w, item_panels, 1,
        [&](int64_t panel, int64_t, int64_t p) { return base + (panel + p) * bytes; }, item_tokens,
        [&](int64_t panel, int64_t count, int64_t token, int64_t token_count, const float* tile,
            int64_t ld) {
          const int64_t row = (from_panel + panel) * kPanelRows;
          const int64_t n = std::min(count * kPanelRows, range.last - range.first - row);
          for (int64_t t = 0; t < token_count; ++t) {
            const float* from = tile + t * ld;
            float* to = y + (from_token + token + t) * ld_y + row;
            const float* bias = options.bias ? options.bias + range.first + row : nullptr;
            for (int64_t i = 0; i < n; ++i) {
              const float product = bias ? from[i] + bias[i] : from[i];
              to[i] = options.accumulate ? to[i] + product : product;
            }
          }
        });
  });
}

}  // namespace

void linear(const Exec& exec, const PackedMatrix& w, const float* x, int64_t ld_x, int64_t tokens,
            float* y, int64_t ld_y, const LinearOptions& options) {
  multiply(exec, w, {0, w.rows}, x, ld_x, tokens, y, ld_y, options);
}

void linear_rows(const Exec& exec, const PackedMatrix& w, int64_t first_row, int64_t last_row,
                 const float* x, int64_t ld_x, int64_t tokens, float* y, int64_t ld_y,
                 const QuantizedRows* quantized) {
  multiply(exec, w, {first_row, last_row}, x, ld_x, tokens, y, ld_y, {.quantized = quantized});
}

}  // namespace sluice::kernels
