// In which format most weights of a part are.
#pragma once

#include <algorithm>
#include <map>

#include "tensor/dtype.h"

namespace sluice::schedule {

class FormatCount {
 public:
  void add(tensor::DType dtype, double weights) { of_type_[dtype] += weights; }
  // `none` where nothing was counted.
  tensor::DType most(tensor::DType none) const {
    const auto found =
        std::max_element(of_type_.begin(), of_type_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    return found == of_type_.end() || found->second <= 0 ? none : found->first;
  }

 private:
  std::map<tensor::DType, double> of_type_;
};

}  // namespace sluice::schedule
