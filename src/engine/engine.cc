#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <unordered_map>

#include "engine/choice_run.h"
#include "engine/fit.h"
#include "engine/guides.h"
#include "engine/host_memory.h"
#include "engine/host_runner.h"
#include "engine/loaded_model.h"
#include "engine/request_check.h"
#include "pipeline/executor.h"
#include "schedule/builder.h"
#include "scheduler/scheduler.h"

namespace sluice::engine {
namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

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
          .reserve_fraction = options.kv_reserve_fraction};
}

constexpr int64_t kMaxQueuedRequests = int64_t{1} << 19;

Status check_options(const EngineOptions& options) {
  if (options.max_queued_requests < 1 || options.max_queued_requests > kMaxQueuedRequests) {
    return Error{ErrorCode::kInvalid, "max_queued_requests is " +
                                          std::to_string(options.max_queued_requests) + "; 1 to " +
                                          std::to_string(kMaxQueuedRequests) + " is expected"};
  }
  if (!(options.kv_reserve_fraction >= 0) || options.kv_reserve_fraction > 1) {
    return Error{ErrorCode::kInvalid, "--kv-reserve-fraction must be between 0 and 1"};
  }
  return {};
}

// The parts that live as long as the engine, in the order in which they depend on each other.
class Running : public Engine {
 public:
  Running(std::unique_ptr<LoadedModel> model, const EngineOptions& options,
          const schedule::Builder& builder)
      : model_(std::move(model)),
        options_(options),
        builder_(builder),
        blocks_(model_->plan.kv_blocks, model_->plan.kv_block_tokens),
        scheduler_(scheduler_limits(model_->plan, options), blocks_),
        guides_(model_->files.tokenizer ? &*model_->files.tokenizer : nullptr,
                model_->files.config.vocab, model_->files.eos),
        flights_(static_cast<size_t>(model_->plan.micro_batches())),
        runner_(model_->forward, models::weight_bytes_of(model_->weights), flights_, stats_,
                options.per_request_experts) {
    for (size_t i = 0; i < flights_.size(); ++i) {
      flights_[i].batch = scheduler_.make_micro_batch();
      flights_[i].activations = model_->activations[i];
      flights_[i].choices.reserve(static_cast<size_t>(model_->plan.policy.micro_batch));
    }
    outcomes_.reserve(static_cast<size_t>(model_->plan.policy.micro_batch));
    costs_.rates[static_cast<size_t>(schedule::Lane::kHostCompute)] = options.host_rates;
    costs_.weights = models::weight_bytes_of(model_->weights);
    for (const models::LayerConfig& layer : model_->files.config.layers) {
      stats_.expert_tokens.emplace_back(static_cast<size_t>(layer.ffn.experts), 0);
    }
    stats_.kv_blocks = model_->plan.kv_blocks;
  }

  Status start() {
    const plan::Plan& plan = model_->plan;
    const schedule::Context largest{.model = &model_->files.config,
                                    .plan = &plan,
                                    .batch = {.rows = plan.max_num_tokens,
                                              .sequences = plan.policy.micro_batch,
                                              .logit_rows = plan.max_num_tokens}};
    const schedule::BuilderBounds bounds = builder_.bounds(largest);
    pipeline::ExecutorOptions executor;
    executor.runners[static_cast<size_t>(schedule::Lane::kHostCompute)] = &runner_;
    executor.limits = {.max_iterations_in_flight = static_cast<int32_t>(flights_.size()),
                       .max_iteration = bounds.total(),
                       .max_expansion = bounds.expansion};
    executor.trace = options_.trace;
    SLUICE_ASSIGN(executor_, pipeline::Executor::create(executor));
    return {};
  }

  Status check(const Request& request) const override {
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

  Status submit(Request request) override {
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

  void cancel(RequestId id) override {
    if (!requests_.contains(id)) return;
    for (auto& [sequence, choice] : choices_) {
      if (choice->request().request.id != id || choice->ended()) continue;
      choice->end(FinishReason::kCancelled);
      scheduler_.cancel(sequence);
      if (choice->in_flight == 0) ended_early_.push_back(sequence);
    }
  }

  Status step(EventSink& sink) override {
    for (scheduler::SequenceId sequence : ended_early_) finish_choice(sequence, sink);
    ended_early_.clear();
    SLUICE_TRY(launch());
    if (in_flight_.empty()) return {};
    Flight& flight = flights_[in_flight_.front()];
    in_flight_.pop_front();
    const double started = now_s();
    runner_.mark();
    SLUICE_TRY(executor_->wait(flight.ticket));
    stats_.busy_seconds += now_s() - started;
    commit(flight, sink);
    refresh_stats();
    return {};
  }

  bool idle() const override { return requests_.empty(); }
  int64_t queued() const override { return scheduler_.queued(); }
  int64_t running() const override { return scheduler_.running(); }
  const models::ModelConfig& config() const override { return model_->files.config; }
  const plan::Plan& plan() const override { return model_->plan; }
  const text::Tokenizer* tokenizer() const override {
    return model_->files.tokenizer ? &*model_->files.tokenizer : nullptr;
  }
  const text::ChatTemplate* chat_template() const override {
    return model_->files.chat_template ? &*model_->files.chat_template : nullptr;
  }
  const std::string& fingerprint() const override { return model_->fingerprint; }
  const EngineStats& stats() const override { return stats_; }

 private:
  std::unique_ptr<RequestRun> make_run(Request request) {
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

  Status add_choice(RequestRun& owner, int index) {
    SLUICE_ASSIGN(auto guide, guides_.make(owner.request.guide));
    const scheduler::SequenceId sequence = next_sequence_++;
    const auto prompt = static_cast<int64_t>(owner.request.prompt.size());
    choices_.emplace(
        sequence, std::make_unique<ChoiceRun>(owner, index, owner.request.sampling.max_tokens,
                                              tokenizer(), std::move(guide), guides_.mask_words()));
    return scheduler_.add(
        {.id = sequence,
         .prompt = owner.request.prompt,
         .max_new_tokens = owner.request.sampling.max_tokens,
         .all_prompt_logits = owner.request.sampling.prompt_logprobs && index == 0,
         .salt = model_->prefix_salt(prompt)});
  }

  // Hands every micro-batch that is back and has work to the pipeline.
  Status launch() {
    for (size_t slot = 0; slot < flights_.size(); ++slot) {
      Flight& flight = flights_[slot];
      if (flight.out) continue;
      if (!scheduler_.form(flight.batch)) return {};
      flight.choices.clear();
      for (const scheduler::Slice& slice : flight.batch.slices) {
        ChoiceRun* choice = choices_.at(slice.sequence).get();
        flight.choices.push_back(choice);
        ++choice->in_flight;
        note_start(choice->request(), *choice, slice);
      }
      flight.context = {.model = &model_->files.config,
                        .plan = &model_->plan,
                        .batch = schedule::shape_of(flight.batch.view()),
                        .micro_batch = flight.batch.index,
                        .iteration = flight.batch.iteration,
                        .cold = flight.batch.iteration == 0,
                        .costs = options_.trace != nullptr ? &costs_ : nullptr};
      SLUICE_ASSIGN(flight.ticket, executor_->submit(flight.context, builder_, slot));
      flight.out = true;
      in_flight_.push_back(slot);
    }
    return {};
  }

  static void note_start(RequestRun& request, const ChoiceRun& choice,
                         const scheduler::Slice& slice) {
    if (request.started_s >= 0) return;
    request.started_s = now_s();
    if (choice.index() == 0) request.cached_prompt_tokens = slice.first_position;
  }

  // Tells the scheduler what came of an iteration, and the caller.
  void commit(Flight& flight, EventSink& sink) {
    outcomes_.clear();
    for (size_t i = 0; i < flight.batch.slices.size(); ++i) {
      const scheduler::Slice& slice = flight.batch.slices[i];
      ChoiceRun& choice = *flight.choices[i];
      --choice.in_flight;
      if (slice.finishes) choice.end(FinishReason::kLength);
      if (slice.samples) outcomes_.push_back({choice.last_token(), choice.ended()});
    }
    scheduler_.complete(flight.batch, outcomes_);
    flight.out = false;
    for (size_t i = 0; i < flight.batch.slices.size(); ++i) {
      ChoiceRun& choice = *flight.choices[i];
      report(choice, sink);
      if (choice.ended()) finish_choice(flight.batch.slices[i].sequence, sink);
    }
  }

  void report(ChoiceRun& choice, EventSink& sink) {
    if (!choice.sampled) return;
    choice.sampled = false;
    RequestRun& request = choice.request();
    ++request.completion_tokens;
    if (request.first_token_s < 0) request.first_token_s = now_s();
    if (sink.on_token) {
      sink.on_token(request.request.id, choice.index(), choice.take_pending(), choice.last_token());
    }
  }

  void finish_choice(scheduler::SequenceId sequence, EventSink& sink) {
    const auto found = choices_.find(sequence);
    ChoiceRun& choice = *found->second;
    RequestRun& request = choice.request();
    if (choice.error() && !request.error) request.error = choice.error();
    request.results[static_cast<size_t>(choice.index())] = choice.take_result();
    choices_.erase(found);
    if (--request.choices_left > 0) return;
    RequestOutput output = output_of(request);
    ++stats_.requests_finished;
    requests_.erase(request.request.id);
    if (sink.on_finished) sink.on_finished(std::move(output));
  }

  static RequestOutput output_of(RequestRun& run) {
    RequestOutput output;
    output.id = run.request.id;
    output.error = run.error;
    if (!run.error) output.choices = std::move(run.results);
    output.prompt_logprobs = std::move(run.prompt_logprobs);
    output.prompt_tokens = static_cast<int64_t>(run.request.prompt.size());
    output.cached_prompt_tokens = run.cached_prompt_tokens;
    output.completion_tokens = run.completion_tokens;
    output.expert_tokens = std::move(run.expert_tokens);
    const double now = now_s();
    output.queue_seconds = (run.started_s < 0 ? now : run.started_s) - run.submitted_s;
    output.first_token_seconds = run.first_token_s < 0 ? 0 : run.first_token_s - run.submitted_s;
    output.total_seconds = now - run.submitted_s;
    return output;
  }

  void refresh_stats() {
    const scheduler::SchedulerCounters& counters = scheduler_.counters();
    stats_.prompt_tokens = counters.prompt_tokens;
    stats_.cached_prompt_tokens = counters.cached_prompt_tokens;
    stats_.computed_tokens = counters.computed_tokens;
    stats_.generated_tokens = counters.generated_tokens;
    stats_.preemptions = counters.preemptions;
    stats_.iterations = counters.iterations;
    stats_.sequence_slots = counters.sequence_slots;
    stats_.sequence_slots_used = counters.sequence_slots_used;
    stats_.kv_blocks_used = blocks_.held();
  }

  std::unique_ptr<LoadedModel> model_;
  EngineOptions options_;
  const schedule::Builder& builder_;
  memory::KvBlocks blocks_;
  scheduler::Scheduler scheduler_;
  mutable Guides guides_;  // a cache: check() fills what submit() reads
  EngineStats stats_;
  std::vector<Flight> flights_;
  HostRunner runner_;
  schedule::CostModel costs_;
  std::unique_ptr<pipeline::Executor> executor_;
  std::deque<size_t> in_flight_;  // slots, oldest first
  std::vector<scheduler::Outcome> outcomes_;
  std::unordered_map<RequestId, std::unique_ptr<RequestRun>> requests_;
  std::unordered_map<scheduler::SequenceId, std::unique_ptr<ChoiceRun>> choices_;
  std::vector<scheduler::SequenceId> ended_early_;
  scheduler::SequenceId next_sequence_ = 1;
};

}  // namespace

const char* name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  base::check_failed("known reason", "a FinishReason outside its enum", __FILE__, __LINE__);
}

Result<std::unique_ptr<Engine>> Engine::load(const std::string& path, const EngineOptions& options,
                                             const std::function<void(double)>& progress) {
  SLUICE_TRY(check_options(options));
  SLUICE_ASSIGN(const schedule::Builder* builder, schedule::find(options.schedule));
  SLUICE_ASSIGN(auto model, load_model(path, options, progress));
  auto engine = std::make_unique<Running>(std::move(model), options, *builder);
  SLUICE_TRY(engine->start());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace sluice::engine
