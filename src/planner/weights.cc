#include "planner/weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "kernels/packed.h"
#include "models/embedding_source.h"
#include "models/weights_map.h"
#include "schedule/format_count.h"

namespace sluice::planner {

using models::StageKind;
using tensor::DType;

namespace {

constexpr std::array<const char*, 5> kFinestLast = {"mxfp4", "q4", "q8", "bf16", "none"};
constexpr int64_t kSector = 4096;
// What an arena pads, by matrix and layer: taken as one alignment each.
constexpr int64_t kPadding = 4096;

double bytes_each(std::optional<DType> dtype, DType stored) {
  const tensor::DTypeInfo& info = tensor::info(dtype.value_or(stored));
  return static_cast<double>(info.block_bytes) / info.block_elements;
}

int64_t up(double bytes, int64_t unit) {
  return static_cast<int64_t>(std::ceil(bytes / static_cast<double>(unit))) * unit;
}

double read_by(const models::ModelConfig& config, StageKind kind, int layer,
               const models::Load& load, const models::WeightBytes& bytes) {
  return models::stage_cost(config, {kind, static_cast<int16_t>(layer), 0, 1}, load, bytes)
      .weight_bytes;
}

}  // namespace

int fineness(const std::string& quant) {
  const auto found = std::find(kFinestLast.begin(), kFinestLast.end(), quant);
  return found == kFinestLast.end() ? -1 : static_cast<int>(found - kFinestLast.begin());
}

Result<WeightSizes> weight_sizes(const models::ModelConfig& config, const std::string& quant,
                                 DType stored) {
  SLUICE_ASSIGN(const models::Quantization q, models::parse_quantization(quant));
  WeightSizes sizes;
  sizes.bytes.expert = bytes_each(q.ffn, stored);
  sizes.bytes.dense = bytes_each(q.others, stored);
  sizes.formats.expert = q.ffn.value_or(stored);
  sizes.formats.dense = q.others.value_or(stored);
  sizes.bytes.router = bytes_each({}, stored);
  sizes.fit.block_weights = tensor::is_block_format(q.ffn.value_or(stored));
  sizes.fit.stored = stored;
  const double table = double{1} * config.hidden * config.vocab * sizes.bytes.dense;
  int64_t dense = up(table, kPadding) * (config.tied_embeddings ? 1 : 2);
  if (!config.tied_embeddings) {
    sizes.fit.embedding_bytes = up(table, kPadding);
    sizes.fit.embedding_read_bytes =
        models::embedding_read_bytes(sizes.formats.dense, config.hidden);
  }
  for (int layer = 0; layer < config.layer_count(); ++layer) {
    const models::FfnConfig& ffn = config.layers[static_cast<size_t>(layer)].ffn;
    const auto part = [&](StageKind kind, const models::Load& load) {
      return read_by(config, kind, layer, load, sizes.bytes);
    };
    dense += up(part(StageKind::kQkv, {.tokens = 1}), kPadding) +
             up(part(StageKind::kOProj, {.tokens = 1}), kPadding) +
             up(part(StageKind::kRoute, {.tokens = 1}), kPadding);
    if (!ffn.is_moe() || ffn.shared_inter > 0)
      dense += up(part(StageKind::kShared, {.tokens = 1}), kPadding);
    if (!ffn.is_moe()) continue;
    const int64_t page = up(part(StageKind::kExpertGroup, {.active_experts = 1}), kSector);
    sizes.fit.page_bytes = std::max(sizes.fit.page_bytes, page);
    sizes.fit.pages += ffn.experts;
    sizes.fit.expert_bytes += page * ffn.experts;
  }
  sizes.fit.weight_bytes = dense + sizes.fit.expert_bytes;
  return sizes;
}

WeightSizes weight_sizes(const models::WeightSource& source) {
  // Of one use: weights and their bytes, and how many are of each type.
  struct Sum {
    double weights = 0, bytes = 0;
    schedule::FormatCount formats;
    void add(DType dtype, int64_t rows, int64_t cols) {
      const double more = static_cast<double>(rows) * static_cast<double>(cols);
      weights += more;
      bytes += more * static_cast<double>(kernels::panel_bytes(dtype, cols)) /
               static_cast<double>(kernels::kPanelRows * cols);
      formats.add(dtype, more);
    }
    double each(double none) const { return weights > 0 ? bytes / weights : none; }
  };
  Sum expert, dense, router;
  for (size_t i = 0; i < source.table().size(); ++i) {
    const models::TensorSlot& tensor = source.table()[i];
    // Few rows of the table are read.
    if (!tensor.is_matrix() || tensor.use() == models::Use::kEmbedding) continue;
    Sum& sum = tensor.is_expert() ? expert : tensor.use() == models::Use::kRouter ? router : dense;
    sum.add(source.dtype(i), tensor.shape[0], tensor.shape[1]);
  }
  WeightSizes sizes;
  sizes.fit = plan::fit_model(models::weight_needs(source));
  sizes.bytes.dense = dense.each(bytes_each({}, sizes.fit.stored));
  sizes.bytes.expert = expert.each(sizes.bytes.dense);
  sizes.bytes.router = router.each(sizes.bytes.router);
  sizes.formats.dense = dense.formats.most(sizes.fit.stored);
  sizes.formats.expert = expert.formats.most(sizes.formats.dense);
  return sizes;
}

std::vector<int64_t> page_bytes(const models::ModelConfig& config, const WeightSizes& weights) {
  std::vector<int64_t> bytes;
  for (const models::LayerConfig& layer : config.layers)
    bytes.push_back(layer.ffn.is_moe() ? weights.fit.page_bytes : 0);
  return bytes;
}

models::ModelConfig with_movable_ffns(models::ModelConfig config) {
  if (config.max_experts() > 0) return config;
  for (models::LayerConfig& layer : config.layers) {
    layer.ffn.experts = 1;
    layer.ffn.top_k = 1;
  }
  return config;
}

namespace {

// Of layers like `layer`.
Routing routing_of(const models::ModelConfig& config, const models::LayerConfig& layer,
                   const RoutingSkew& skew) {
  const auto experts = static_cast<size_t>(layer.ffn.experts);
  std::vector<double> mean(experts, 0);
  int measured = 0;
  for (size_t i = 0; i < std::min(skew.measured.size(), config.layers.size()); ++i) {
    if (config.layers[i] != layer || skew.measured[i].size() != experts) continue;
    std::vector<double> shares = skew.measured[i];
    std::sort(shares.begin(), shares.end(), std::greater<>());
    for (size_t e = 0; e < experts; ++e) mean[e] += shares[e];
    ++measured;
  }
  if (measured > 0) {
    for (double& share : mean) share /= measured;
    return Routing::measured(std::move(mean));
  }
  return skew.zipf_exponent > 0
             ? Routing::zipf(layer.ffn.experts, layer.ffn.top_k, skew.zipf_exponent)
             : Routing::uniform(layer.ffn.experts, layer.ffn.top_k);
}

}  // namespace

Layers layers_of(const models::ModelConfig& config, const RoutingSkew& skew) {
  Layers layers;
  const auto experts = static_cast<size_t>(config.max_experts());
  layers.share.assign(config.layers.size() * experts, 0);
  for (int i = 0; i < config.layer_count(); ++i) {
    const models::LayerConfig& layer = config.layers[static_cast<size_t>(i)];
    const auto same = std::find_if(layers.kinds.begin(), layers.kinds.end(), [&](const auto& kind) {
      return config.layers[static_cast<size_t>(kind.layer)] == layer;
    });
    if (same != layers.kinds.end()) {
      ++same->count;
      continue;
    }
    LayerKind kind{.layer = i, .count = 1};
    if (layer.ffn.is_moe()) {
      kind.routing = static_cast<int>(layers.routings.size());
      layers.routings.push_back(routing_of(config, layer, skew));
      std::ranges::copy(layers.routings.back().shares(),
                        layers.share.begin() + static_cast<ptrdiff_t>(experts) * i);
    }
    layers.kinds.push_back(kind);
  }
  return layers;
}

}  // namespace sluice::planner
