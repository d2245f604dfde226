#include "engine/device_side.h"

namespace sluice::engine {
Result<std::unique_ptr<DeviceSide>> make_device_side(
    const device::EmulatedDevice& machine, const models::ForwardContext& host,
    models::WeightSource& source, const models::ActivationLimits& limits, const plan::Plan& plan,
    const memory::KvCache& cache, const base::Clock& clock) {
  auto side = std::make_unique<DeviceSide>(clock);
  const models::ModelConfig& config = *host.config;
  side->machine = machine;
  const models::WeightNeeds needs = models::weight_needs(source);
  SLUICE_ASSIGN(side->weight_arena, memory::Arena::create(needs.bytes - needs.expert_bytes));
  SLUICE_ASSIGN(side->weights, models::load_weights(config, source, {.experts = false},
                                                    side->weight_arena, side->team));
  SLUICE_ASSIGN(side->paging,
                ExpertPaging::create(config,
                                     {.layouts = page_layouts(config, *host.weights),
                                      .slots = plan.expert_slots,
                                      .moving = plan.moving_slots,
                                      .holders = static_cast<int>(plan.micro_batches()),
                                      .near = schedule::Level::kDevice,
                                      .far = schedule::Level::kHost},
                                     side->weights));
  SLUICE_ASSIGN(
      side->activation_arena,
      memory::Arena::create(plan.micro_batches() * models::activation_bytes(config, limits)));
  for (int64_t i = 0; i < plan.micro_batches(); ++i) {
    side->activations.push_back(models::carve_activations(config, limits, side->activation_arena));
  }
  side->forward = host;
  side->forward.weights = &side->weights;
  side->forward.expert_order = side->paging->order();
  side->forward.exec.team = &side->team;
  if (plan.policy.attention_on == plan::Place::kHost) return side;
  SLUICE_ASSIGN(side->kv, StreamedKv::create(StreamedKv::shape_of(config, plan)));
  if (plan.kv_window > 0) side->kv_home = std::make_unique<HostKv>(*side->kv, cache);
  side->forward.kv = side->kv->views();
  return side;
}

}  // namespace sluice::engine
