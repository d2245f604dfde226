#include <algorithm>

#include "base/check.h"
#include "kernels/item_rows.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

// The items of all groups form one pool, so that a skewed layer keeps the whole team busy.
// body(group, plan, item of that group's plan) for every item.
template <class Panels, class Body>
void over_groups(const Exec& exec, std::span<const ExpertGroup> groups, const Panels& panels_of,
                 const Body& body) {
  // A group's share of the items falls as there are more groups.
  int64_t active = 0;
  for (const ExpertGroup& group : groups) active += group.tokens > 0;
  if (active == 0) return;
  const auto share =
      static_cast<int>(std::max<int64_t>(1, (exec.team->threads() + active - 1) / active));
  const auto plan_of = [&](const ExpertGroup& group) {
    return group.tokens > 0 ? plan_gemm(panels_of(group), group.tokens, share) : GemmPlan{};
  };
  int64_t items = 0;
  for (const ExpertGroup& group : groups) items += plan_of(group).items();
  // Hundreds of experts have thousands of items: each member goes on from its last one's group.
  struct Place {
    size_t group;
    GemmPlan plan;
    int64_t items;  // of the groups before
  };
  const Place start{0, plan_of(groups[0]), 0};
  exec.team->parallel_for(items, start, [&](Place& at, int64_t item) {
    while (item - at.items >= at.plan.items())
      at = {at.group + 1, plan_of(groups[at.group + 1]), at.items + at.plan.items()};
    body(groups[at.group], at.plan, item - at.items);
  });
}

struct Item {
  int64_t first_panel, panels, first_token, tokens;
};

Item cut(const GemmPlan& plan, int64_t item, int64_t panels, int64_t tokens) {
  const int64_t panel = item / plan.token_items * plan.panels_per_item;
  const int64_t token = item % plan.token_items * plan.tokens_per_item;
  return {panel, std::min(plan.panels_per_item, panels - panel), token,
          std::min(plan.tokens_per_item, tokens - token)};
}

// Where an item's tokens come from and its values go.
struct Slots {
  int64_t first;  // of the item's, which follow each other
  const int32_t* token_of_slot;
  const float* x;
  int64_t ld_x;
  const QuantizedRows* quantized;
  float* hidden;
  int64_t ld_hidden;

  ItemRows rows_for(const PackedMatrix& w, const Item& item) const {
    ItemRows rows(w, x, ld_x, quantized);
    for (int64_t t = 0; t < item.tokens; ++t) rows.set(t, token_of_slot[first + t]);
    return rows;
  }
};

// Gate and up of one dtype: panels of both in one tile.
void multiply_pairs(const Exec& exec, const ExpertGroup& group, const Item& item,
                    const Slots& slots) {
  const PackedMatrix& gate = *group.gate;
  const PackedMatrix& up = *group.up;
  const int64_t bytes = panel_bytes(gate.dtype, gate.cols);
  slots.rows_for(gate, item)
      .for_each(
          *exec.ops, gate, item.panels * 2, 2,
          [&](int64_t panel, int64_t count, int64_t p) {
            const int64_t first = item.first_panel + panel / 2;
            return p < count / 2 ? gate.data + (first + p) * bytes
                                 : up.data + (first + p - count / 2) * bytes;
          },
          item.tokens,
          [&](int64_t panel, int64_t count, int64_t token, int64_t tokens, const float* tile,
              int64_t ld) {
            const int64_t row = (item.first_panel + panel / 2) * kPanelRows;
            const int64_t n = std::min(count / 2 * kPanelRows, gate.rows - row);
            for (int64_t t = 0; t < tokens; ++t) {
              const float* from = tile + t * ld;
              exec.ops->silu_mul(from, from + count / 2 * kPanelRows, n,
                                 slots.hidden + (slots.first + token + t) * slots.ld_hidden + row);
            }
          });
}

// emit(product, n, to) for the item's part of each row of `w` times its tokens: n values of it,
// whose place in `hidden` is `to`.
template <class Emit>
void multiply_rows(const Exec& exec, const PackedMatrix& w, const Item& item, const Slots& slots,
                   const Emit& emit) {
  const int64_t bytes = panel_bytes(w.dtype, w.cols);
  slots.rows_for(w, item).for_each(
      *exec.ops, w, item.panels, 1,
      [&](int64_t panel, int64_t, int64_t p) {
        return w.data + (item.first_panel + panel + p) * bytes;
      },
      item.tokens,
      [&](int64_t panel, int64_t count, int64_t token, int64_t tokens, const float* tile,
          int64_t ld) {
        const int64_t row = (item.first_panel + panel) * kPanelRows;
        const int64_t n = std::min(count * kPanelRows, w.rows - row);
        for (int64_t t = 0; t < tokens; ++t)
          emit(tile + t * ld, n, slots.hidden + (slots.first + token + t) * slots.ld_hidden + row);
      });
}

// Of two dtypes: the gate's product waits in `hidden` for the up's.
void multiply_one_by_one(const Exec& exec, const ExpertGroup& group, const Item& item,
                         const Slots& slots) {
  multiply_rows(exec, *group.gate, item, slots,
                [](const float* product, int64_t n, float* to) { std::copy_n(product, n, to); });
  multiply_rows(exec, *group.up, item, slots, [&](const float* product, int64_t n, float* to) {
    exec.ops->silu_mul(to, product, n, to);
  });
}

}  // namespace

void expert_gate_up(const Exec& exec, std::span<const ExpertGroup> groups,
                    const int32_t* token_of_slot, const float* x, int64_t ld_x, float* hidden,
                    int64_t ld_hidden, const QuantizedRows* quantized) {
  const auto panels_of = [](const ExpertGroup& group) { return group.gate->panels(); };
  over_groups(exec, groups, panels_of,
              [&](const ExpertGroup& group, const GemmPlan& plan, int64_t index) {
                const PackedMatrix& gate = *group.gate;
                SLUICE_CHECK(gate.rows == group.up->rows && gate.cols == group.up->cols,
                             "gate and up have one shape");
                const Item item = cut(plan, index, gate.panels(), group.tokens);
                if (item.tokens <= 0) return;
                const Slots slots{group.first_slot + item.first_token,
                                  token_of_slot,
                                  x,
                                  ld_x,
                                  quantized,
                                  hidden,
                                  ld_hidden};
                if (gate.dtype == group.up->dtype) {
                  multiply_pairs(exec, group, item, slots);
                } else {
                  multiply_one_by_one(exec, group, item, slots);
                }
              });
}

void expert_down(const Exec& exec, std::span<const ExpertGroup> groups, const float* hidden,
                 int64_t ld_hidden, float* out, int64_t ld_out, const QuantizedRows* quantized) {
  const auto panels_of = [](const ExpertGroup& group) { return group.down->panels(); };
  over_groups(exec, groups, panels_of,
              [&](const ExpertGroup& group, const GemmPlan& plan, int64_t index) {
                const PackedMatrix& down = *group.down;
                const Item item = cut(plan, index, down.panels(), group.tokens);
                if (item.tokens <= 0) return;
                ItemRows rows(down, hidden, ld_hidden, quantized);
                const int64_t first_slot = group.first_slot + item.first_token;
                for (int64_t t = 0; t < item.tokens; ++t) rows.set(t, first_slot + t);
                const int64_t bytes = panel_bytes(down.dtype, down.cols);
                rows.for_each(
                    *exec.ops, down, item.panels, 1,
                    [&](int64_t panel, int64_t, int64_t p) {
                      return down.data + (item.first_panel + panel + p) * bytes;
                    },
                    item.tokens,
                    [&](int64_t panel, int64_t count, int64_t token, int64_t tokens,
                        const float* tile, int64_t ld) {
                      const int64_t row = (item.first_panel + panel) * kPanelRows;
                      const int64_t n = std::min(count * kPanelRows, down.rows - row);
                      for (int64_t t = 0; t < tokens; ++t) {
                        const float* from = tile + t * ld;
                        std::copy(from, from + n, out + (first_slot + token + t) * ld_out + row);
                      }
                    });
              });
}

}  // namespace sluice::kernels
