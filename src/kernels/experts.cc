#include <algorithm>

#include "base/check.h"
#include "kernels/item_pool.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

// Where an item's tokens come from and its values go.
struct Slots {
  int64_t first;  // of the item's, which follow each other
  const int32_t* token_of_slot;
  const float* x;
  int64_t ld_x;
  const QuantizedRows* quantized;
  float* hidden;
  int64_t ld_hidden;

  ItemRows rows_for(const PackedMatrix& w, const GemmItem& item) const {
    ItemRows rows(w, x, ld_x, quantized);
    for (int64_t t = 0; t < item.tokens; ++t) rows.set(t, token_of_slot[first + t]);
    return rows;
  }
  float* hidden_at(int64_t token, int64_t row) const {
    return hidden + (first + token) * ld_hidden + row;
  }
};

// Gate and up of one dtype: panels of both in one tile.
void multiply_pairs(const Exec& exec, const ExpertGroup& group, const GemmItem& item,
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
                                 slots.hidden_at(token + t, row));
            }
          });
}

// Of two dtypes: the gate's product waits in `hidden` for the up's.
void multiply_one_by_one(const Exec& exec, const ExpertGroup& group, const GemmItem& item,
                         const Slots& slots) {
  multiply_item(*exec.ops, *group.gate, item, slots.rows_for(*group.gate, item),
                [&](const float* gate, int64_t n, int64_t token, int64_t row) {
                  std::copy_n(gate, n, slots.hidden_at(token, row));
                });
  multiply_item(*exec.ops, *group.up, item, slots.rows_for(*group.up, item),
                [&](const float* up, int64_t n, int64_t token, int64_t row) {
                  float* to = slots.hidden_at(token, row);
                  exec.ops->silu_mul(to, up, n, to);
                });
}

}  // namespace

void expert_gate_up(const Exec& exec, std::span<const ExpertGroup> groups,
                    const int32_t* token_of_slot, const float* x, int64_t ld_x, float* hidden,
                    int64_t ld_hidden, const QuantizedRows* quantized) {
  over_pool(
      exec, groups.size(), [&](size_t g) { return groups[g].gate->panels(); },
      [&](size_t g) { return groups[g].tokens; },
      [&](size_t g, const GemmItem& item) {
        const ExpertGroup& group = groups[g];
        SLUICE_CHECK(group.gate->rows == group.up->rows && group.gate->cols == group.up->cols,
                     "gate and up have one shape");
        const Slots slots{group.first_slot + item.first_token,
                          token_of_slot,
                          x,
                          ld_x,
                          quantized,
                          hidden,
                          ld_hidden};
        if (group.gate->dtype == group.up->dtype) {
          multiply_pairs(exec, group, item, slots);
        } else {
          multiply_one_by_one(exec, group, item, slots);
        }
      });
}

void expert_down(const Exec& exec, std::span<const ExpertGroup> groups, const float* hidden,
                 int64_t ld_hidden, float* out, int64_t ld_out, const QuantizedRows* quantized) {
  over_pool(
      exec, groups.size(), [&](size_t g) { return groups[g].down->panels(); },
      [&](size_t g) { return groups[g].tokens; },
      [&](size_t g, const GemmItem& item) {
        const int64_t first_slot = groups[g].first_slot + item.first_token;
        ItemRows rows(*groups[g].down, hidden, ld_hidden, quantized);
        for (int64_t t = 0; t < item.tokens; ++t) rows.set(t, first_slot + t);
        multiply_item(*exec.ops, *groups[g].down, item, rows,
                      [&](const float* from, int64_t n, int64_t token, int64_t row) {
                        std::copy_n(from, n, out + (first_slot + token) * ld_out + row);
                      });
      });
}

}  // namespace sluice::kernels
