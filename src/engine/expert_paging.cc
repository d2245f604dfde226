#include "engine/expert_paging.h"

#include <algorithm>

namespace sluice::engine {

namespace {

std::vector<int64_t> page_bytes(const std::vector<models::ExpertPage>& layouts) {
  std::vector<int64_t> bytes;
  for (const models::ExpertPage& layout : layouts) bytes.push_back(layout.bytes);
  return bytes;
}

}  // namespace

ExpertPaging::ExpertPaging(const models::ModelConfig& config, Options options,
                           models::ModelWeights& weights)
    : config_(config),
      options_(std::move(options)),
      weights_(weights),
      experts_(config.max_experts()),
      use_(config.layer_count(), config.max_experts(), config.max_top_k()),
      table_(config, page_bytes(options_.layouts), options_.near, options_.far) {}

Result<std::unique_ptr<ExpertPaging>> ExpertPaging::create(const models::ModelConfig& config,
                                                           Options options,
                                                           models::ModelWeights& weights) {
  std::unique_ptr<ExpertPaging> paging(new ExpertPaging(config, std::move(options), weights));
  const Options& o = paging->options_;
  SLUICE_ASSIGN(paging->pages_, memory::WeightPages::create(
                                    {.layers = config.layer_count(),
                                     .pages_per_layer = paging->experts_,
                                     .slot_bytes = std::ranges::max(paging->residency().page_bytes),
                                     .slots = o.slots,
                                     .reserved = memory::reserved_slots(o.slots, o.moving),
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
  table_.settle(*pages_, use_, ahead);
}

void ExpertPaging::add_guess(int holder, int layer, std::span<const int32_t> expert_points) {
  guessed_ += std::ranges::count_if(expert_points, [](int32_t points) { return points > 0; });
  pages_->open_guesses(holder, layer);
}

void ExpertPaging::end_guess(int holder, int layer, std::span<const int32_t> expert_points,
                             std::span<const int32_t> expert_tokens) {
  for (size_t e = 0; e < expert_points.size(); ++e) {
    guessed_right_ += expert_points[e] > 0 && expert_tokens[e] > 0;
  }
  pages_->close_guesses(holder, layer, expert_tokens);
}

// Of pages, what the disk lane knows is left to it.
GuessStats ExpertPaging::guesses() const {
  GuessStats stats{.experts = guessed_, .right = guessed_right_};
  for (int layer = 0; layer < config_.layer_count(); ++layer) {
    const int64_t wrong = pages_->wrong_guesses(layer);
    stats.useless_pages += wrong;
    stats.useless_bytes += wrong * page_of_layer(layer).bytes;
  }
  return stats;
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
