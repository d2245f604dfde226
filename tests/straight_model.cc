#include "straight_model.h"

#include <fstream>
#include <numeric>
#include <sstream>

#include "models/gguf_model.h"
#include "models/rope_config.h"
#include "weights/checkpoint.h"

namespace sluice::tests {

using models::Stage;
using models::StageKind;

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

namespace {

Result<models::FamilyModel> read_model(const std::string& path, const std::string& config_name,
                                       const weights::Checkpoint& checkpoint) {
  if (checkpoint.gguf() != nullptr) return models::read_gguf_model(checkpoint);
  SLUICE_ASSIGN(const Json json, base::parse_json(read_text(path + "/" + config_name)));
  models::FamilyModel model;
  SLUICE_ASSIGN(model.family, models::find_family(json));
  SLUICE_ASSIGN(model.config, model.family->read(json));
  return model;
}

}  // namespace

Result<std::unique_ptr<StraightModel>> StraightModel::load(const std::string& path,
                                                           const StraightOptions& options) {
  std::unique_ptr<StraightModel> self(new StraightModel(options.threads));
  self->options_ = options;
  SLUICE_ASSIGN(const weights::Checkpoint checkpoint, weights::open_checkpoint(path));
  SLUICE_ASSIGN(const models::FamilyModel read, read_model(path, options.config_name, checkpoint));
  self->config_ = read.config;
  const models::ModelConfig& config = self->config_;

  SLUICE_ASSIGN(const models::Quantization quantization, models::parse_quantization(options.quant));
  SLUICE_ASSIGN(const auto source,
                models::checkpoint_source(config, *read.family, checkpoint, quantization));
  const models::WeightNeeds needs = models::weight_needs(*source);
  const models::ActivationLimits limits{.rows = options.rows,
                                        .logit_rows = options.rows,
                                        .context = options.context,
                                        .block_weights = needs.block_weights};
  SLUICE_ASSIGN(self->arena_, memory::Arena::create(
                                  needs.bytes + models::activation_bytes(config, limits) + 4096));
  SLUICE_ASSIGN(self->weights_,
                models::load_weights(config, *source, {}, self->arena_, self->team_));
  self->activations_ = models::carve_activations(config, limits, self->arena_);

  const auto block_tokens = static_cast<int>(options.block_tokens);
  const auto layouts = models::kv_layouts(config, block_tokens, options.kv_dtype);
  const int64_t blocks = (options.context + block_tokens - 1) / block_tokens;
  SLUICE_ASSIGN(self->cache_, memory::KvCache::create(layouts, blocks));
  for (int i = 0; i < config.layer_count(); ++i) self->kv_.push_back(self->cache_.layer(i));
  // Blocks in reverse, so that nothing can rest on their being in order.
  self->blocks_.resize(static_cast<size_t>(blocks));
  std::iota(self->blocks_.rbegin(), self->blocks_.rend(), 0);

  const int head_dim = config.layers.front().attention.head_dim;
  self->inv_freq_.resize(static_cast<size_t>(head_dim / 2));
  models::rope_frequencies(config.rope, head_dim, 1, self->inv_freq_.data());
  self->context_ = {.config = &config,
                    .weights = &self->weights_,
                    .kv = self->kv_,
                    .inv_freq = self->inv_freq_.data(),
                    .exec = {&kernels::op_table(options.isa), &self->team_}};
  return self;
}

void StraightModel::restart(int64_t prompt_tokens) {
  length_ = 0;
  prompt_tokens_ = prompt_tokens;
}

std::span<const float> StraightModel::append(std::span<const int32_t> tokens) {
  const auto count = static_cast<int64_t>(tokens.size());
  SLUICE_CHECK(count <= options_.rows && length_ + count <= options_.context,
               "the rows fit the limits");
  positions_.clear();
  slots_.clear();
  logit_rows_.clear();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = length_ + i;
    positions_.push_back(static_cast<int32_t>(position));
    slots_.push_back(blocks_[static_cast<size_t>(position / options_.block_tokens)] *
                         options_.block_tokens +
                     position % options_.block_tokens);
    logit_rows_.push_back(static_cast<int32_t>(i));
  }
  tokens_.assign(tokens.begin(), tokens.end());
  sequence_ = {.first_row = 0,
               .rows = count,
               .first_position = length_,
               .prompt_tokens = prompt_tokens_,
               .blocks = blocks_.data()};
  batch_ = {.token_ids = tokens_,
            .positions = positions_,
            .kv_slots = slots_,
            .sequences = {&sequence_, 1},
            .logit_rows = logit_rows_};
  run_stages(batch_);
  length_ += count;
  return {activations_.logits, static_cast<size_t>(count * config_.vocab)};
}

void StraightModel::run_stages(const models::BatchView& batch) {
  const auto run = [&](StageKind kind, int layer, int count = 0) {
    models::run_stage(context_,
                      Stage{kind, static_cast<int16_t>(layer), 0, static_cast<int16_t>(count)},
                      batch, activations_);
  };
  run(StageKind::kEmbed, -1);
  for (int layer = 0; layer < config_.layer_count(); ++layer) {
    const models::FfnConfig& ffn = config_.layers[static_cast<size_t>(layer)].ffn;
    run(StageKind::kQkv, layer);
    run(StageKind::kAttend, layer);
    run(StageKind::kOProj, layer);
    run(StageKind::kRoute, layer);
    if (ffn.is_moe()) {
      run(StageKind::kDispatch, layer);
      run(StageKind::kExpertGroup, layer, ffn.experts);
      run(StageKind::kCombine, layer);
    } else {
      run(StageKind::kShared, layer);
    }
  }
  run(StageKind::kHead, -1, 1);
}

}  // namespace sluice::tests
