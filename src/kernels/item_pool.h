// The items of several products as one pool, so that neither a skewed layer nor the end of a small
// product leaves a part of the team idle.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/exec.h"
#include "kernels/item_rows.h"

namespace sluice::kernels {

// Of one product: panels [first_panel, first_panel + panels) times `tokens` from first_token on.
struct GemmItem {
  int64_t first_panel, panels, first_token, tokens;
};

inline GemmItem cut(const GemmPlan& plan, int64_t item, int64_t panels, int64_t tokens) {
  const int64_t panel = item / plan.token_items * plan.panels_per_item;
  const int64_t token = item % plan.token_items * plan.tokens_per_item;
  return {panel, std::min(plan.panels_per_item, panels - panel), token,
          std::min(plan.tokens_per_item, tokens - token)};
}

// body(p, item) for every item with tokens of each of the `count` products. Product p multiplies
// tokens_of(p) tokens, possibly none, by panels_of(p) panels.
template <class PanelsOf, class TokensOf, class Body>
void over_pool(const Exec& exec, size_t count, const PanelsOf& panels_of, const TokensOf& tokens_of,
               const Body& body) {
  // A product's share of the items falls as there are more of them.
  int64_t active = 0;
  for (size_t p = 0; p < count; ++p) active += tokens_of(p) > 0;
  if (active == 0) return;
  const auto share =
      static_cast<int>(std::max<int64_t>(1, (exec.team->threads() + active - 1) / active));
  const auto plan_of = [&](size_t p) { return plan_gemm(panels_of(p), tokens_of(p), share); };
  int64_t items = 0;
  for (size_t p = 0; p < count; ++p) items += plan_of(p).items();
  // Hundreds of experts have thousands of items: each member goes on from its last one's product.
  struct Place {
    size_t product;
    GemmPlan plan;
    int64_t items;  // of the products before
  };
  const Place start{0, plan_of(0), 0};
  exec.team->parallel_for(items, start, [&](Place& at, int64_t index) {
    while (index - at.items >= at.plan.items())
      at = {at.product + 1, plan_of(at.product + 1), at.items + at.plan.items()};
    const GemmItem item =
        cut(at.plan, index - at.items, panels_of(at.product), tokens_of(at.product));
    if (item.tokens > 0) body(at.product, item);
  });
}

// emit(values, n, token, row) for the item's part of `w` times its `rows`: n values, of the
// matrix's rows from `row` on, for the item's `token`-th.
template <class Emit>
void multiply_item(const OpTable& ops, const PackedMatrix& w, const GemmItem& item,
                   const ItemRows& rows, const Emit& emit) {
  const int64_t bytes = panel_bytes(w.dtype, w.cols);
  const std::byte* first = w.data + item.first_panel * bytes;
  rows.for_each(
      ops, w, item.panels, 1,
      [&](int64_t panel, int64_t, int64_t p) { return first + (panel + p) * bytes; }, item.tokens,
      [&](int64_t panel, int64_t count, int64_t token, int64_t tokens, const float* tile,
          int64_t ld) {
        const int64_t row = (item.first_panel + panel) * kPanelRows;
        const int64_t n = std::min(count * kPanelRows, w.rows - row);
        for (int64_t t = 0; t < tokens; ++t) emit(tile + t * ld, n, token + t, row);
      });
}

}  // namespace sluice::kernels
