// Where a rank stands among its peers. Stages and tensor tables take it, so that one rank is a case
// of many and not another code path.
#pragma once

namespace sluice::parallel {

struct Context {
  int rank = 0;
  int tp_size = 1, tp_rank = 0;          // attention and dense parts
  int moe_tp_size = 1, moe_tp_rank = 0;  // slices of each expert
  int moe_ep_size = 1, moe_ep_rank = 0;  // whole experts; moe_tp_size * moe_ep_size = tp_size
  int pp_size = 1, pp_rank = 0;          // runs of layers

  bool alone() const { return tp_size == 1 && pp_size == 1; }
  bool operator==(const Context&) const = default;
};

}  // namespace sluice::parallel
