#include "schedule/residency_table.h"

#include <numeric>

namespace sluice::schedule {

ResidencyTable::ResidencyTable(const models::ModelConfig& config, std::vector<int64_t> page_bytes,
                               Level near, Level far)
    : config_(config), page_bytes_(std::move(page_bytes)), near_(near), far_(far) {
  const auto layers = static_cast<size_t>(config.layer_count());
  const int experts = config.max_experts();
  const size_t all = layers * static_cast<size_t>(experts);
  levels_.assign(all, far);
  share_.assign(all, 0);
  order_.resize(all);
  for (size_t layer = 0; layer < layers; ++layer) {
    std::iota(order_.begin() + static_cast<ptrdiff_t>(layer) * experts,
              order_.begin() + static_cast<ptrdiff_t>(layer + 1) * experts, int16_t{0});
  }
  residency_ = {.experts = levels_,
                .order = order_,
                .share = share_,
                .page_bytes = page_bytes_,
                .experts_per_layer = experts};
}

void ResidencyTable::settle(const memory::WeightPages& pages, const memory::ExpertUse& use,
                            bool ahead) {
  for (int layer = 0; layer < config_.layer_count(); ++layer) {
    const int experts = config_.layers[static_cast<size_t>(layer)].ffn.experts;
    size_t place = pages.id(layer, 0);
    for (const bool kept : {true, false}) {
      for (int e = 0; e < experts; ++e) {
        const memory::WeightPageId page = pages.id(layer, e);
        if (pages.kept(page) != kept) continue;
        levels_[page] = kept ? near_ : far_;
        const bool may = ahead && !pages.doubtful(page);
        share_[page] = may ? static_cast<float>(use.share(layer, e)) : 0;
        order_[place++] = static_cast<int16_t>(e);
      }
    }
  }
}

}  // namespace sluice::schedule
