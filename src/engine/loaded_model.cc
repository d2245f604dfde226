#include "engine/loaded_model.h"

#include <algorithm>

#include "base/affinity.h"
#include "base/numa.h"
#include "engine/fit.h"
#include "engine/host_memory.h"
#include "models/rope_config.h"

namespace sluice::engine {
namespace {

FitWishes wishes_of(const EngineOptions& options) {
  return {.schedule = options.schedule,
          .threads = options.threads,
          .max_batch_size = options.max_batch_size,
          .micro_batch_size = options.micro_batch_size,
          .max_num_tokens = options.max_num_tokens,
          .max_seq_len = options.max_seq_len,
          .kv_cache_memory = options.kv_cache_memory,
          .kv_cache_free_mem_fraction = options.kv_cache_free_mem_fraction,
          .kv_block_tokens = options.kv_block_tokens,
          .kv_dtype = options.kv_dtype};
}

// What all threads read is spread over the memory of all their cores.
memory::ArenaOptions read_by_all(const std::vector<int>& nodes) {
  return {.huge_pages = true, .interleave_over = nodes};
}

Status reserve_cache(LoadedModel& model, const std::vector<int>& nodes) {
  const auto layouts = models::kv_layouts(
      model.files.config, static_cast<int>(model.plan.kv_block_tokens), model.plan.kv_dtype);
  SLUICE_ASSIGN(model.cache,
                memory::KvCache::create(layouts, model.plan.kv_blocks, read_by_all(nodes)));
  for (int i = 0; i < model.files.config.layer_count(); ++i) {
    model.kv.push_back(model.cache.layer(i));
  }
  return {};
}

Status reserve_activations(LoadedModel& model) {
  const models::ActivationLimits limits{.rows = model.plan.max_num_tokens,
                                        .logit_rows = model.plan.logit_rows,
                                        .context = model.plan.max_seq_len,
                                        .block_weights = model.block_weights};
  SLUICE_ASSIGN(model.activation_arena,
                memory::Arena::create(model.plan.activation_bytes, {.huge_pages = true}));
  for (int64_t i = 0; i < model.plan.micro_batches(); ++i) {
    model.activations.push_back(
        models::carve_activations(model.files.config, limits, model.activation_arena));
  }
  return {};
}

}  // namespace

uint64_t LoadedModel::prefix_salt(int64_t prompt_tokens) const {
  return models::rope_depends_on_length(files.config.rope, prompt_tokens)
             ? static_cast<uint64_t>(prompt_tokens)
             : 0;
}

Result<std::unique_ptr<LoadedModel>> load_model(const std::string& path,
                                                const EngineOptions& options,
                                                const std::function<void(double)>& progress) {
  auto model = std::make_unique<LoadedModel>();
  SLUICE_ASSIGN(const OpenModel opened, open_model(path));
  SLUICE_ASSIGN(model->files, read_model_files(path, opened));
  const models::ModelConfig& config = model->files.config;
  SLUICE_ASSIGN(model->fingerprint, fingerprint_of(opened));
  SLUICE_ASSIGN(const auto source, open_weights(opened, options.quant));
  const models::WeightNeeds needs = models::weight_needs(*source);
  FitWishes wishes = wishes_of(options);
  wishes.block_weights = model->block_weights = needs.block_weights;
  wishes.stored = needs.stored;
  const std::vector<int> nodes = base::own_nodes_to_interleave();
  SLUICE_ASSIGN(model->plan,
                fit_plan(config, needs.bytes, wishes,
                         {.available_memory = available_host_memory(),
                          .cores = available_cores(),
                          .memory_nodes = std::max(1, static_cast<int>(nodes.size()))}));
  SLUICE_TRY(reserve_activations(*model));
  SLUICE_TRY(reserve_cache(*model, nodes));
  // Whoever uses all cores loses nothing by staying on them.
  const std::vector<int>& cores = base::allowed_cores();
  model->team = static_cast<int>(cores.size()) == model->plan.threads
                    ? std::make_unique<base::ThreadTeam>(cores)
                    : std::make_unique<base::ThreadTeam>(model->plan.threads);
  SLUICE_ASSIGN(model->weight_arena,
                memory::Arena::create(model->plan.weight_bytes, read_by_all(nodes)));
  // The system may have refused.
  model->plan.interleaved = model->weight_arena.interleaved() && model->cache.arena().interleaved();
  SLUICE_ASSIGN(model->weights,
                models::load_weights(config, *source, model->weight_arena, *model->team, progress));
  const int head_dim = config.layers.front().attention.head_dim;
  model->inv_freq.resize(static_cast<size_t>(head_dim / 2));
  models::rope_frequencies(config.rope, head_dim, 1, model->inv_freq.data());
  model->forward = {
      .config = &config,
      .weights = &model->weights,
      .kv = model->kv,
      .inv_freq = model->inv_freq.data(),
      .exec = {&kernels::op_table(options.isa.value_or(kernels::best_isa())), model->team.get()}};
  return model;
}

}  // namespace sluice::engine
