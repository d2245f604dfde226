#include "engine/loaded_model.h"

#include <algorithm>

#include "base/affinity.h"
#include "base/numa.h"
#include "base/units.h"
#include "device/faults.h"
#include "engine/engine_plan.h"
#include "engine/environment.h"
#include "models/rope_config.h"
#include "plan/fit_memory.h"

namespace sluice::engine {
namespace {

// What all threads read is spread over the memory of all their cores.
memory::ArenaOptions read_by_all(const std::vector<int>& nodes) {
  return {.huge_pages = true, .interleave_over = nodes};
}

// Blocks that stay on a device have no place here; of a cache whose home is the disk there is room
// for what is at work.
Status reserve_cache(LoadedModel& model, const std::vector<int>& nodes) {
  if (model.plan.policy.kv_on_disk()) {
    SLUICE_ASSIGN(model.streamed_kv,
                  StreamedKv::create(StreamedKv::shape_of(model.files.config, model.plan),
                                     read_by_all(nodes)));
    model.kv.assign(model.streamed_kv->views().begin(), model.streamed_kv->views().end());
    return {};
  }
  const int64_t blocks = model.plan.kv_blocks - model.plan.resident_kv_blocks;
  if (blocks == 0) return {};
  const auto layouts = models::kv_layouts(
      model.files.config, static_cast<int>(model.plan.kv_block_tokens), model.plan.kv_dtype);
  SLUICE_ASSIGN(model.cache, memory::KvCache::create(layouts, blocks, read_by_all(nodes)));
  for (int i = 0; i < model.files.config.layer_count(); ++i) {
    model.kv.push_back(model.cache.layer(i));
  }
  return {};
}

models::ActivationLimits activation_limits(const LoadedModel& model) {
  return {.rows = model.plan.max_num_tokens,
          .logit_rows = model.plan.logit_rows,
          .context = model.plan.max_seq_len,
          .block_weights = model.block_weights};
}

Status reserve_activations(LoadedModel& model) {
  const models::ActivationLimits limits = activation_limits(model);
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

namespace {

// Whether the device gives what the plan puts there; kNoRoom says what would fit.
Status check_device(const plan::Plan& plan, int64_t bytes,
                    const std::function<Result<plan::Plan>(int64_t)>& fit) {
  if (plan.device_bytes <= bytes) return {};
  const auto show = [](int64_t value) { return base::format_bytes(static_cast<double>(value)); };
  std::string message = "the device gives " + show(bytes) + " of memory, but the plan puts " +
                        show(plan.device_bytes) + " there, with " +
                        std::to_string(plan.expert_slots) + " experts";
  const Result<plan::Plan> smaller = fit(bytes);
  message += smaller ? "; --device-memory " + std::to_string(bytes) + " would fit, with " +
                           std::to_string(smaller->expert_slots)
                     : "; " + smaller.error().message;
  return Error{ErrorCode::kNoRoom, message};
}

// Of an embedding on disk.
Status reserve_rows(LoadedModel& model, const models::WeightNeeds& needs) {
  SLUICE_ASSIGN(model.embedding, model.source->embedding(*model.team));
  SLUICE_ASSIGN(model.embedding_rows,
                memory::EmbeddingRows::create(
                    plan::embedding_shape(model.files.config, plan::fit_model(needs), model.plan),
                    {.huge_pages = true}));
  model.forward.embedding_rows = model.embedding_rows.get();
  return {};
}

// Weights into memory; of a plan with slots for experts, the others, and where experts will lie.
Status load(LoadedModel& model, const models::WeightNeeds& needs, const std::vector<int>& nodes,
            const LoadProgress& progress) {
  const models::ModelConfig& config = model.files.config;
  const bool paged = model.plan.expert_slots > 0 && model.plan.device_bytes == 0;
  const bool rows = model.plan.embedding_rows > 0;
  const int64_t bytes =
      needs.bytes - (paged ? needs.expert_bytes : 0) - (rows ? needs.embedding_bytes : 0);
  SLUICE_ASSIGN(model.weight_arena, memory::Arena::create(bytes, read_by_all(nodes)));
  // The system may have refused.
  const memory::Arena& kv =
      model.streamed_kv != nullptr ? model.streamed_kv->arena() : model.cache.arena();
  model.plan.interleaved = model.weight_arena.interleaved() && kv.interleaved();
  SLUICE_ASSIGN(model.weights,
                models::load_weights(config, *model.source, {!paged, !rows}, model.weight_arena,
                                     *model.team, {.progress = progress}));
  if (!paged) return {};
  SLUICE_ASSIGN(model.paging,
                ExpertPaging::create(config,
                                     {.layouts = page_layouts(config, *model.source),
                                      .slots = model.plan.expert_slots,
                                      .moving = model.plan.moving_slots,
                                      .holders = static_cast<int>(model.plan.micro_batches()),
                                      .arena = read_by_all(nodes)},
                                     model.weights));
  model.forward.expert_order = model.paging->order();
  return rows ? reserve_rows(model, needs) : Status();
}

}  // namespace

Result<std::unique_ptr<LoadedModel>> load_model(OpenedModel opened, const EngineOptions& options,
                                                const LoadProgress& progress) {
  SLUICE_CHECK(opened.quant == options.quant, "a model is loaded as it was opened");
  auto model = std::make_unique<LoadedModel>();
  std::optional<device::EmulatedDevice> machine;
  if (!options.device.empty()) {
    SLUICE_ASSIGN(machine, device::parse_device(options.device));
  }
  model->opened = std::move(opened.opened);
  model->files = std::move(opened.files);
  model->fingerprint = std::move(opened.fingerprint);
  model->kv_directory = kv_directory(options, opened.path);
  model->source = std::move(opened.source);
  const models::ModelConfig& config = model->files.config;
  const models::WeightNeeds needs = models::weight_needs(*model->source);
  model->block_weights = needs.block_weights;
  const std::vector<int> nodes = base::own_nodes_to_interleave();
  const auto fit = [&](int64_t device_memory) {
    return plan::fit_plan(config, plan::fit_model(needs), wishes_of(options),
                          fit_machine(device_memory, model->kv_directory));
  };
  SLUICE_ASSIGN(model->plan, fit(machine ? machine->capacity_bytes : 0));
  if (machine && options.device_faults != nullptr) {
    SLUICE_TRY(check_device(model->plan,
                            options.device_faults->memory_bytes(machine->capacity_bytes), fit));
  }
  SLUICE_TRY(reserve_activations(*model));
  SLUICE_TRY(reserve_cache(*model, nodes));
  // Whoever uses all cores loses nothing by staying on them.
  const std::vector<int>& cores = base::allowed_cores();
  model->team = static_cast<int>(cores.size()) == model->plan.threads
                    ? std::make_unique<base::ThreadTeam>(cores)
                    : std::make_unique<base::ThreadTeam>(model->plan.threads);
  SLUICE_TRY(load(*model, needs, nodes, progress));
  const int head_dim = config.layers.front().attention.head_dim;
  model->inv_freq.resize(static_cast<size_t>(head_dim / 2));
  models::rope_frequencies(config.rope, head_dim, 1, model->inv_freq.data());
  model->forward.config = &config;
  model->forward.weights = &model->weights;
  model->forward.kv = model->kv;
  model->forward.inv_freq = model->inv_freq.data();
  model->forward.exec = {&kernels::op_table(options.isa.value_or(kernels::best_isa())),
                         model->team.get()};
  if (machine) {
    SLUICE_ASSIGN(model->device, make_device_side(*machine, model->forward, *model->source,
                                                  activation_limits(*model), model->plan,
                                                  model->cache, *environment_of(options).clock));
    // Of an expert that is computed here for the device both must mean the same.
    model->forward.expert_order = model->device->paging->order();
  }
  if (model->paging == nullptr) {
    model->source.reset();
    model->opened.reset();
  }
  return model;
}

}  // namespace sluice::engine
