#include "engine/running.h"

#include "engine/request_check.h"

namespace sluice::engine {
namespace {

scheduler::SchedulerLimits scheduler_limits(const plan::Plan& plan, const EngineOptions& options) {
  return {.max_batch_size = plan.policy.batch,
          .micro_batch_size = plan.policy.micro_batch,
          .max_num_tokens = plan.max_num_tokens,
          .max_seq_len = plan.max_seq_len,
          // A request may be several sequences; the engine bounds the requests itself.
          .max_queued = options.max_queued_requests + kMaxChoices,
          .prefix_sharing = options.prefix_sharing,
          .admission = options.kv_reserve_fraction < 1.0 ? scheduler::Admission::kOptimistic
                                                         : scheduler::Admission::kGuaranteed,
          .reserve_fraction = options.kv_reserve_fraction,
          .one_block_begun = plan.kv_tails > 0};
}

}  // namespace

Running::Running(std::unique_ptr<LoadedModel> model, const EngineOptions& options,
                 const schedule::Builder& builder)
    : model_(std::move(model)),
      formats_(schedule::formats_of(model_->weights, model_->plan.kv_dtype)),
      options_(options),
      environment_(environment_of(options)),
      builder_(builder),
      blocks_(model_->plan.kv_blocks, model_->plan.kv_block_tokens),
      scheduler_(scheduler_limits(model_->plan, options), blocks_),
      guides_(model_->files.tokenizer ? &*model_->files.tokenizer : nullptr,
              model_->files.config.vocab, model_->files.eos),
      flights_(static_cast<size_t>(model_->plan.micro_batches())),
      runner_({.forward = &model_->forward,
               .weight_bytes = models::weight_bytes_of(model_->weights, model_->plan.kv_dtype),
               .flights = &flights_,
               .stats = &stats_,
               .count_per_request = options.per_request_experts,
               .max_rows = model_->plan.max_num_tokens,
               .paging = model_->paging.get(),
               .rows = model_->embedding_rows.get(),
               .kv = model_->streamed_kv.get(),
               .times = other_lanes() ? &times_ : nullptr,
               .pace = model_->device != nullptr ? &model_->device->host_pace : nullptr,
               .clock = environment_.clock}) {
  for (size_t i = 0; i < flights_.size(); ++i) {
    flights_[i].batch = scheduler_.make_micro_batch();
    flights_[i].activations = std::move(model_->activations[i]);  // a copy loses capacity
    if (model_->device != nullptr) {
      flights_[i].device_activations = std::move(model_->device->activations[i]);
    }
    flights_[i].choices.reserve(static_cast<size_t>(model_->plan.policy.micro_batch));
  }
  in_flight_.reserve(flights_.size());
  warm_.resize(flights_.size());
  outcomes_.reserve(static_cast<size_t>(model_->plan.policy.micro_batch));
  // Beside an emulated device the host is that machine's too (add_device_lanes()).
  if (options.machine != nullptr && model_->device == nullptr) {
    if (auto known = schedule::host_costs(*options.machine, formats_)) costs_ = std::move(*known);
  }
  costs_.weights = models::weight_bytes_of(model_->weights, model_->plan.kv_dtype);
  for (const models::LayerConfig& layer : model_->files.config.layers) {
    stats_.expert_tokens.emplace_back(static_cast<size_t>(layer.ffn.experts), 0);
  }
  stats_.kv_blocks = model_->plan.kv_blocks;
}

Status Running::start() {
  const plan::Plan& plan = model_->plan;
  const schedule::Context largest{
      .model = &model_->files.config,
      .plan = &plan,
      .batch = {.rows = plan.max_num_tokens,
                .sequences = plan.policy.micro_batch,
                .logit_rows = plan.max_num_tokens,
                .kv = schedule::most_kv_moves(plan)},
      .residency = paging() != nullptr ? paging()->residency() : schedule::Residency{},
      .embedding = embedding_reads({})};
  const schedule::BuilderBounds bounds = builder_.bounds(largest);
  pipeline::ExecutorOptions executor;
  executor.runners[static_cast<size_t>(schedule::Lane::kHostCompute)] = &runner_;
  executor.limits = {.max_iterations_in_flight = static_cast<int32_t>(flights_.size()),
                     .max_iteration = bounds.total(),
                     .max_expansion = bounds.expansion,
                     .max_events = static_cast<int64_t>(flights_.size()) *
                                   (bounds.total().waits + bounds.total().signals)};
  executor.lane_timeout_ms = options_.lane_timeout_ms;
  // An iteration's claims have its slot for a holder.
  executor.on_failed_end = [this](uint64_t slot) {
    if (paging() != nullptr) paging()->pages().release_all(static_cast<int>(slot));
    if (rows() != nullptr) rows()->release(static_cast<int>(slot));
    if (streamed_kv() != nullptr) streamed_kv()->windows().release_all(slot);
  };
  SLUICE_TRY(add_lanes(executor));
  executor.trace = options_.trace;
  SLUICE_ASSIGN(executor_, environment_.make_executor(executor));
  return {};
}

Status Running::check(const Request& request) const {
  SLUICE_TRY(check_request(request, {.vocab = model_->files.config.vocab,
                                     .max_seq_len = model_->plan.max_seq_len,
                                     .has_tokenizer = model_->files.tokenizer.has_value()}));
  if (const auto fits = scheduler_.check(static_cast<int64_t>(request.prompt.size()),
                                         request.sampling.max_tokens);
      !fits) {
    return Error{ErrorCode::kInvalid, fits.error().message};
  }
  if (const auto guide = guides_.make(request.guide); !guide) return guide.error();
  return {};
}

Status Running::submit(Request request) {
  SLUICE_TRY(check(request));
  if (requests_.contains(request.id)) {
    return Error{ErrorCode::kInvalid,
                 "request " + std::to_string(request.id) + " is in the engine already"};
  }
  if (queued() >= options_.max_queued_requests) {
    return Error{ErrorCode::kNoRoom, std::to_string(queued()) + " requests wait already"};
  }
  auto run = make_run(std::move(request));
  RequestRun& owner = *run;
  const RequestId id = owner.request.id;
  requests_.emplace(id, std::move(run));
  for (int i = 0; i < owner.request.sampling.n; ++i) SLUICE_TRY(add_choice(owner, i));
  return {};
}

void Running::cancel(RequestId id) {
  if (!requests_.contains(id)) return;
  for (auto& [sequence, choice] : choices_) {
    if (choice->request().request.id != id || choice->ended()) continue;
    choice->end(FinishReason::kCancelled);
    scheduler_.cancel(sequence);
    if (choice->in_flight == 0) ended_early_.push_back(sequence);
  }
}

const text::Tokenizer* Running::tokenizer() const {
  return model_->files.tokenizer ? &*model_->files.tokenizer : nullptr;
}

const text::ChatTemplate* Running::chat_template() const {
  return model_->files.chat_template ? &*model_->files.chat_template : nullptr;
}

std::unique_ptr<RequestRun> Running::make_run(Request request) {
  auto run = std::make_unique<RequestRun>();
  const SamplingParams& params = request.sampling;
  run->seed = params.seed ? *params.seed : mix(options_.seed ^ mix(request.id));
  run->stop_strings = StopStrings(params.stop);
  run->enders = params.stop_token_ids;
  if (!params.ignore_eos) {
    run->enders.insert(run->enders.end(), model_->files.eos.begin(), model_->files.eos.end());
  }
  if (params.prompt_logprobs) run->prompt_logprobs.resize(request.prompt.size());
  if (options_.per_request_experts) {
    run->expert_tokens.resize(model_->files.config.layers.size() *
                              static_cast<size_t>(model_->files.config.max_experts()));
  }
  run->results.resize(static_cast<size_t>(params.n));
  run->choices_left = params.n;
  run->submitted_s = now_s();
  run->request = std::move(request);
  return run;
}

Status Running::add_choice(RequestRun& owner, int index) {
  SLUICE_ASSIGN(auto guide, guides_.make(owner.request.guide));
  const scheduler::SequenceId sequence = next_sequence_++;
  const auto prompt = static_cast<int64_t>(owner.request.prompt.size());
  choices_.emplace(
      sequence, std::make_unique<ChoiceRun>(owner, index, owner.request.sampling.max_tokens,
                                            tokenizer(), std::move(guide), guides_.mask_words()));
  return scheduler_.add({.id = sequence,
                         .prompt = owner.request.prompt,
                         .max_new_tokens = owner.request.sampling.max_tokens,
                         .all_prompt_logits = owner.request.sampling.prompt_logprobs && index == 0,
                         .salt = model_->prefix_salt(prompt)});
}

}  // namespace sluice::engine
