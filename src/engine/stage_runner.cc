#include "engine/stage_runner.h"

#include <algorithm>
#include <atomic>

namespace sluice::engine {

using models::StageKind;

StageRunner::StageRunner(const Options& options)
    : options_(options), forward_(*options.forward), stats_(*options.stats) {
  slice_of_logit_.reserve(static_cast<size_t>(options.max_rows));
  for (int i = 0; i < forward_.exec.team->threads(); ++i)
    workers_.emplace_back(forward_.config->vocab);
}

Result<pipeline::TaskResult> StageRunner::run(const schedule::Task& task,
                                              const pipeline::TaskContext& context) {
  const models::Stage* stage = task.stage();
  SLUICE_CHECK(stage != nullptr, "a compute lane runs stages");
  Flight& flight = (*options_.flights)[context.user];
  forward_.exec.team->keep_caller();
  const bool fails = options_.faults != nullptr && options_.faults->task_fails();
  const bool planned = progress_of(*stage) > flight.done_before;
  if (options_.times != nullptr && !fails) {
    last_ = options_.clock->now();
    if (planned) options_.times->begin(options_.lane, last_);
  }
  if (options_.pace != nullptr) options_.pace->begin();
  if (fails) {
    if (options_.pace != nullptr) options_.pace->end(task.predicted_ns);
    return Error{ErrorCode::kFault, "the device failed at '" + label(task) + "'; check the device"};
  }
  models::BatchView batch = flight.batch.view();
  if (stage->kind == StageKind::kSample) {
    sample(*stage, flight);
  } else {
    if (stage->kind == StageKind::kAttend && options_.kv != nullptr) {
      batch = options_.kv->there(context.user, stage->layer, batch, stage->first);
    }
    models::run_stage(forward_, *stage, batch, activations(flight));
  }
  pipeline::TaskResult result;
  if (stage->kind == StageKind::kRoute) {
    const auto& ffn = forward_.config->layers[static_cast<size_t>(stage->layer)].ffn;
    if (ffn.is_moe()) {
      count_experts(*stage, flight);
      if (flight.guessed_layer == stage->layer) end_guess(*stage, context.user);
      result.routing.expert_tokens = {activations(flight).expert_tokens,
                                      static_cast<size_t>(ffn.experts)};
    }
  }
  if (stage->kind == StageKind::kGuess) {
    result.routing.expert_tokens = take_guess(*stage, context.user);
  }
  if (options_.pace != nullptr) options_.pace->end(task.predicted_ns);
  account(*stage, flight, batch, planned, result);
  if (stage->kind != StageKind::kGuess)
    flight.done = std::max<Progress>(flight.done, progress_of(*stage));
  release_pages(context);
  if (stage->kind == StageKind::kEmbed && options_.rows != nullptr)
    options_.rows->release(static_cast<int>(context.user));
  return result;
}

// Before the reads that come of it can begin.
std::span<const int32_t> StageRunner::take_guess(const models::Stage& stage, uint64_t holder) {
  Flight& flight = (*options_.flights)[holder];
  const auto& ffn = forward_.config->layers[static_cast<size_t>(stage.layer)].ffn;
  const std::span<const int32_t> points(activations(flight).guess_points,
                                        static_cast<size_t>(ffn.experts));
  options_.paging->add_guess(static_cast<int>(holder), stage.layer, points);
  flight.guessed_layer = stage.layer;
  return points;
}

void StageRunner::end_guess(const models::Stage& stage, uint64_t holder) {
  Flight& flight = (*options_.flights)[holder];
  const models::Activations& act = activations(flight);
  const auto experts =
      static_cast<size_t>(forward_.config->layers[static_cast<size_t>(stage.layer)].ffn.experts);
  options_.paging->end_guess(static_cast<int>(holder), stage.layer, {act.guess_points, experts},
                             {act.expert_tokens, experts});
  flight.guessed_layer = -1;
}

void StageRunner::release_pages(const pipeline::TaskContext& context) {
  const auto holder = static_cast<int>(context.user);
  for (const schedule::PageRange& range : context.pages) {
    for (uint32_t i = 0; i < range.count; ++i)
      options_.paging->pages().release(range.first + i, holder);
  }
}

void StageRunner::account(const models::Stage& stage, Flight& flight,
                          const models::BatchView& batch, bool planned,
                          pipeline::TaskResult& result) {
  const models::Cost cost =
      models::stage_cost(*forward_.config, stage,
                         models::stage_load(*forward_.config, stage, batch, activations(flight)),
                         options_.weight_bytes);
  const std::lock_guard lock(stats_mutex_);
  StageStats& stats = stats_.stages[static_cast<size_t>(stage.kind)];
  // One reading of the clock per task: tasks of this lane run back to back.
  const base::Clock::time_point now = options_.clock->now();
  stats.busy_seconds += base::seconds(now - last_);
  last_ = now;
  if (options_.times != nullptr && planned) options_.times->end(options_.lane, now);
  ++stats.tasks;
  stats.cost += cost;
  result.flops = cost.flops;
  result.bytes = cost.bytes();
}

void StageRunner::count_experts(const models::Stage& stage, Flight& flight) {
  const auto layer = static_cast<size_t>(stage.layer);
  const models::Activations& act = activations(flight);
  {
    const std::lock_guard lock(stats_mutex_);
    std::vector<int64_t>& totals = stats_.expert_tokens[layer];
    for (size_t e = 0; e < totals.size(); ++e) totals[e] += act.expert_tokens[e];
    if (options_.paging != nullptr) {
      options_.paging->add_routing(stage.layer, {act.expert_tokens, totals.size()},
                                   flight.batch.view().rows());
    }
  }
  if (!options_.count_per_request) return;
  const int top_k = forward_.config->layers[layer].ffn.top_k;
  const auto width = static_cast<size_t>(forward_.config->max_experts());
  for (size_t s = 0; s < flight.batch.slices.size(); ++s) {
    const scheduler::Slice& slice = flight.batch.slices[s];
    std::vector<uint32_t>& counts = flight.choices[s]->request().expert_tokens;
    for (int64_t i = slice.first_row * top_k; i < (slice.first_row + slice.rows) * top_k; ++i) {
      ++counts[layer * width + static_cast<size_t>(act.expert[i])];
    }
  }
}

void StageRunner::sample(const models::Stage& stage, Flight& flight) {
  const scheduler::MicroBatch& batch = flight.batch;
  slice_of_logit_.resize(batch.logit_rows.size());
  for (size_t s = 0; s < batch.slices.size(); ++s) {
    const scheduler::Slice& slice = batch.slices[s];
    std::fill_n(slice_of_logit_.begin() + slice.first_logit, slice.logit_rows,
                static_cast<int32_t>(s));
  }
  const int64_t first = stage.first * activations(flight).logit_rows;
  const int64_t rows = std::min(activations(flight).logit_rows,
                                static_cast<int64_t>(batch.logit_rows.size()) - first);
  if (rows <= 1) {
    if (rows == 1) sample_row(flight, first, 0, workers_[0]);
    return;
  }
  std::atomic<int64_t> next{0};
  forward_.exec.team->run([&](int member) {
    for (int64_t i = next.fetch_add(1); i < rows; i = next.fetch_add(1)) {
      sample_row(flight, first, i, workers_[static_cast<size_t>(member)]);
    }
  });
}

// The row says either how likely the prompt's next token was, or which token comes next. Rows of
// one prompt write different elements, so they may run side by side.
void StageRunner::sample_row(Flight& flight, int64_t part_first, int64_t index, Worker& worker) {
  const auto at = static_cast<size_t>(part_first + index);
  const auto s = static_cast<size_t>(slice_of_logit_[at]);
  const scheduler::Slice& slice = flight.batch.slices[s];
  ChoiceRun& choice = *flight.choices[s];
  const int64_t row = flight.batch.logit_rows[at];
  const auto position = static_cast<size_t>(slice.first_position + row - slice.first_row);
  const auto vocab = static_cast<size_t>(forward_.config->vocab);
  const std::span<float> logits(activations(flight).logits + static_cast<size_t>(index) * vocab,
                                vocab);

  RequestRun& request = choice.request();
  const auto& prompt_logprobs = request.request.sampling.prompt_logprobs;
  if (prompt_logprobs && choice.index() == 0 && position + 1 < request.request.prompt.size()) {
    request.prompt_logprobs[position + 1] =
        worker.sampler.logprob(logits, request.request.prompt[position + 1], *prompt_logprobs);
  }
  const bool last = row == slice.first_row + slice.rows - 1;
  if (slice.samples && last && !choice.ended()) choice.step(logits, worker.sampler, worker.raw);
}

}  // namespace sluice::engine
