#include "engine/expert_paging.h"

#include <algorithm>
#include <numeric>

namespace sluice::engine {

namespace {

int most_chosen(const models::ModelConfig& config) {
  int top_k = 1;
  for (const models::LayerConfig& layer : config.layers) top_k = std::max(top_k, layer.ffn.top_k);
  return top_k;
}

// Slots that pages read ahead leave to those that a router has asked for.
int64_t reserved_of(int64_t slots, int64_t moving) {
  return std::min(std::max<int64_t>(moving / 8, 1), slots - 1);
}

}  // namespace

ExpertPaging::ExpertPaging(const models::ModelConfig& config, Options options,
                           models::ModelWeights& weights)
    : config_(config),
      options_(std::move(options)),
      weights_(weights),
      experts_(config.max_experts()),
      use_(config.layer_count(), config.max_experts(), most_chosen(config)) {
  const auto layers = static_cast<size_t>(config.layer_count());
  const auto all = layers * static_cast<size_t>(experts_);
  levels_.assign(all, options_.far);
  share_.assign(all, 0);
  order_.resize(all);
  for (size_t layer = 0; layer < layers; ++layer) {
    page_bytes_.push_back(options_.layouts[layer].bytes);
    std::iota(order_.begin() + static_cast<ptrdiff_t>(layer) * experts_,
              order_.begin() + static_cast<ptrdiff_t>(layer + 1) * experts_, int16_t{0});
  }
  residency_ = {.experts = levels_,
                .order = order_,
                .share = share_,
                .page_bytes = page_bytes_,
                .experts_per_layer = experts_};
}

Result<std::unique_ptr<ExpertPaging>> ExpertPaging::create(const models::ModelConfig& config,
                                                           Options options,
                                                           models::ModelWeights& weights) {
  std::unique_ptr<ExpertPaging> paging(new ExpertPaging(config, std::move(options), weights));
  const Options& o = paging->options_;
  SLUICE_ASSIGN(paging->pages_, memory::WeightPages::create(
                                    {.layers = config.layer_count(),
                                     .pages_per_layer = paging->experts_,
                                     .slot_bytes = *std::ranges::max_element(paging->page_bytes_),
                                     .slots = o.slots,
                                     .reserved = reserved_of(o.slots, o.moving),
                                     .holders = o.holders},
                                    o.arena));
  // Types and shapes are those of every expert of the layer; the places come with the pages.
  std::byte* const nowhere = paging->pages_->memory().data();
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    for (models::FfnWeights& expert : weights.layers[l].experts) {
      expert = models::expert_at(o.layouts[l], nowhere);
    }
  }
  paging->settle(1);
  return paging;
}

void ExpertPaging::settle(int64_t rows, bool ahead) {
  pages_->settle(use_, rows, options_.moving);
  for (int layer = 0; layer < config_.layer_count(); ++layer) {
    const int experts = config_.layers[static_cast<size_t>(layer)].ffn.experts;
    const size_t first = static_cast<size_t>(layer) * static_cast<size_t>(experts_);
    int16_t* const order = order_.data() + first;
    int kept = 0;
    for (int e = 0; e < experts; ++e) {
      const size_t at = first + static_cast<size_t>(e);
      const bool stays = pages_->kept(static_cast<memory::WeightPageId>(at));
      levels_[at] = stays ? options_.near : options_.far;
      const bool may = ahead && !pages_->doubtful(static_cast<memory::WeightPageId>(at));
      share_[at] = may ? static_cast<float>(use_.share(layer, e)) : 0;
      if (stays) order[kept++] = static_cast<int16_t>(e);
    }
    for (int e = 0; e < experts; ++e) {
      if (levels_[first + static_cast<size_t>(e)] == options_.far) {
        order[kept++] = static_cast<int16_t>(e);
      }
    }
  }
}

int64_t ExpertPaging::all_pages() const {
  int64_t pages = 0;
  for (const models::LayerConfig& layer : config_.layers) pages += layer.ffn.experts;
  return pages;
}

// Types and shapes stay as they are: other lanes read those of experts that are not there.
void ExpertPaging::bind(memory::WeightPageId page) {
  const auto layer = static_cast<size_t>(layer_of(page));
  models::FfnWeights& expert = weights_.layers[layer].experts[static_cast<size_t>(expert_of(page))];
  const models::FfnWeights there = models::expert_at(options_.layouts[layer], pages_->at(page));
  expert.gate.data = there.gate.data;
  expert.up.data = there.up.data;
  expert.down.data = there.down.data;
}

std::vector<models::ExpertPage> page_layouts(const models::ModelConfig& config,
                                             const models::WeightSource& source) {
  std::vector<models::ExpertPage> layouts(config.layers.size());
  for (int layer = 0; layer < config.layer_count(); ++layer) {
    const auto l = static_cast<size_t>(layer);
    if (config.layers[l].ffn.is_moe()) layouts[l] = source.page(layer);
  }
  return layouts;
}

std::vector<models::ExpertPage> page_layouts(const models::ModelConfig& config,
                                             const models::ModelWeights& weights) {
  std::vector<models::ExpertPage> layouts(config.layers.size());
  for (size_t l = 0; l < layouts.size(); ++l) {
    if (!config.layers[l].ffn.is_moe()) continue;
    const models::FfnWeights& expert = weights.layers[l].experts.front();
    layouts[l] = models::expert_page(config.hidden, config.layers[l].ffn.inter, expert.gate.dtype,
                                     expert.up.dtype, expert.down.dtype);
  }
  return layouts;
}

}  // namespace sluice::engine
