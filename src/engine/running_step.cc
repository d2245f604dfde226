#include "engine/running.h"

#include <algorithm>
#include <limits>

namespace sluice::engine {
namespace {

void note_start(RequestRun& request, const ChoiceRun& choice, const scheduler::Slice& slice,
                double now) {
  if (request.started_s >= 0) return;
  request.started_s = now;
  if (choice.index() == 0) request.cached_prompt_tokens = slice.first_position;
}

RequestOutput output_of(RequestRun& run, double now) {
  RequestOutput output;
  output.id = run.request.id;
  output.error = run.error;
  if (!run.error) output.choices = std::move(run.results);
  output.prompt_logprobs = std::move(run.prompt_logprobs);
  output.prompt_tokens = static_cast<int64_t>(run.request.prompt.size());
  output.cached_prompt_tokens = run.cached_prompt_tokens;
  output.completion_tokens = run.completion_tokens;
  output.expert_tokens = std::move(run.expert_tokens);
  output.queue_seconds = (run.started_s < 0 ? now : run.started_s) - run.submitted_s;
  output.first_token_seconds = run.first_token_s < 0 ? 0 : run.first_token_s - run.submitted_s;
  output.total_seconds = now - run.submitted_s;
  return output;
}

}  // namespace

// How far all of its rows have come before.
Progress Running::done_before(const Flight& flight) const {
  Progress least = std::numeric_limits<Progress>::max();
  for (const scheduler::Slice& slice : flight.batch.slices) {
    const DoneBefore& done = choices_.at(slice.sequence)->done_before;
    least = std::min(least, done.of(slice.first_position, slice.rows));
  }
  return least;
}

// Each with all that is read for it.
schedule::EmbeddingReads Running::embedding_reads(std::span<const uint32_t> missing) const {
  if (rows() == nullptr) return {};
  return {.rows = missing, .row_bytes = rows()->shape().read_bytes};
}

// Hands every micro-batch that is back and has work to the pipeline.
Status Running::launch() {
  for (size_t slot = 0; slot < flights_.size(); ++slot) {
    Flight& flight = flights_[slot];
    if (flight.out) continue;
    if (!scheduler_.form(flight.batch)) return {};
    // While nothing is in flight, nobody uses a page.
    if (paging() != nullptr && in_flight_.empty()) {
      paging()->settle(flight.batch.view().rows(), failed_rounds_ == 0);
    }
    flight.choices.clear();
    flight.guessed_layer = -1;
    flight.done = kNothingDone;
    flight.done_before = done_before(flight);
    const double now = now_s();
    for (const scheduler::Slice& slice : flight.batch.slices) {
      ChoiceRun* choice = choices_.at(slice.sequence).get();
      flight.choices.push_back(choice);
      ++choice->in_flight;
      note_start(choice->request(), *choice, slice, now);
    }
    flight.context = {
        .model = &model_->files.config,
        .plan = &model_->plan,
        .batch = schedule::shape_of(flight.batch.view()),
        .micro_batch = flight.batch.index,
        .iteration = flight.batch.iteration,
        .cold = !warm_[static_cast<size_t>(flight.batch.index)],
        .residency = paging() != nullptr ? paging()->residency() : schedule::Residency{},
        .embedding = rows() != nullptr ? embedding_reads(rows()->claim(
                                             static_cast<int>(slot), flight.batch.view().token_ids))
                                       : schedule::EmbeddingReads{},
        .costs = options_.trace != nullptr || device_ != nullptr ? &costs_ : nullptr};
    if (StreamedKv* kv = streamed_kv()) {
      flight.context.batch.kv = kv->place(slot, flight.batch.view(), blocks_);
      flight.context.kv_parts = kv->parts(slot);
      if (disk_ != nullptr) disk_->kv()->begin_iteration(slot);
    }
    times_.start(environment_.clock->now());
    SLUICE_ASSIGN(flight.ticket, executor_->submit(flight.context, builder_, slot));
    flight.out = true;
    warm_[static_cast<size_t>(flight.batch.index)] = true;
    in_flight_.push_back(slot);
  }
  return {};
}

Status Running::step(EventSink& sink) {
  if (stopped_) return *stopped_;
  for (scheduler::SequenceId sequence : ended_early_) finish_choice(sequence, sink);
  ended_early_.clear();
  SLUICE_TRY(launch());
  if (in_flight_.empty()) return {};
  end_oldest(sink);
  const Status recovered = failed_.empty() ? Status() : recover(sink);
  refresh_stats();
  return recovered;
}

void Running::end_oldest(EventSink& sink) {
  const size_t slot = in_flight_.front();
  in_flight_.erase(in_flight_.begin());
  const base::Clock& clock = *environment_.clock;
  runner_.mark();
  // Alone, this lane works whenever it is waited for.
  if (!other_lanes()) times_.begin(schedule::Lane::kHostCompute, clock.now());
  std::optional<schedule::Task> task;
  const Status ended = executor_->wait(flights_[slot].ticket, &task);
  if (!other_lanes()) times_.end(schedule::Lane::kHostCompute, clock.now());
  if (!ended.ok()) {
    failed_.push_back({slot, ended.error(), std::move(task)});
    return;
  }
  failed_rounds_ = 0;
  given_up_ = 0;
  commit(flights_[slot], sink);
}

// Tells the scheduler what came of an iteration, and the caller.
void Running::commit(Flight& flight, EventSink& sink) {
  outcomes_.clear();
  for (size_t i = 0; i < flight.batch.slices.size(); ++i) {
    const scheduler::Slice& slice = flight.batch.slices[i];
    ChoiceRun& choice = *flight.choices[i];
    --choice.in_flight;
    choice.attempts = 0;
    choice.done_before = {};
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

void Running::report(ChoiceRun& choice, EventSink& sink) {
  if (!choice.sampled) return;
  choice.sampled = false;
  RequestRun& request = choice.request();
  ++request.completion_tokens;
  if (request.first_token_s < 0) request.first_token_s = now_s();
  if (sink.on_token) {
    sink.on_token(request.request.id, choice.index(), choice.take_pending(), choice.last_token());
  }
}

void Running::finish_choice(scheduler::SequenceId sequence, EventSink& sink) {
  const auto found = choices_.find(sequence);
  ChoiceRun& choice = *found->second;
  RequestRun& request = choice.request();
  if (choice.error() && !request.error) request.error = choice.error();
  request.results[static_cast<size_t>(choice.index())] = choice.take_result();
  choices_.erase(found);
  if (--request.choices_left > 0) return;
  RequestOutput output = output_of(request, now_s());
  ++stats_.requests_finished;
  if (output.error) ++stats_.requests_failed;
  requests_.erase(request.request.id);
  if (sink.on_finished) sink.on_finished(std::move(output));
}

void Running::refresh_stats() {
  const scheduler::SchedulerCounters& counters = scheduler_.counters();
  stats_.prompt_tokens = counters.prompt_tokens;
  stats_.cached_prompt_tokens = counters.cached_prompt_tokens;
  stats_.computed_tokens = counters.computed_tokens;
  stats_.generated_tokens = counters.generated_tokens;
  stats_.preemptions = counters.preemptions;
  stats_.moved = counters.moved;
  stats_.iterations = counters.iterations;
  stats_.failed_iterations = counters.failed_iterations;
  stats_.sequence_slots = counters.sequence_slots;
  stats_.sequence_slots_used = counters.sequence_slots_used;
  stats_.kv_blocks_used = blocks_.held();
  refresh_lane_stats();
}

}  // namespace sluice::engine
