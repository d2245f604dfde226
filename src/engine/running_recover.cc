// What becomes of an iteration that a fault has ended, and of its requests.
#include <algorithm>
#include <chrono>

#include "engine/running.h"

namespace sluice::engine {
namespace {

// Failures of a request for want of a page that its rows have chosen, until it is given up. Later
// requests are not kept waiting for that page.
constexpr int kMaxAttempts = 3;
// Steps that failed, one after the other, with no iteration or answer completed in between, until
// the engine stops: the machine is broken. Failures for want of a page for which requests have been
// given up do not count: there may be many such requests. Their number has a limit of its own, in
// batches.
constexpr int kMaxFailedRounds = 8;
constexpr int64_t kMaxGivenUpBatches = 4;

// What is wrong on the disk stays so; a device that failed or was late may do better.
bool may_pass(const Error& error) {
  switch (error.code) {
    case ErrorCode::kIo:
    case ErrorCode::kTimeout:
    case ErrorCode::kFault:
    case ErrorCode::kCancelled:
      return true;
    case ErrorCode::kInvalid:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kCorrupt:
    case ErrorCode::kNoRoom:
      return false;
  }
  base::check_failed("known code", "an ErrorCode outside its enum", __FILE__, __LINE__);
}

}  // namespace

// First all that is in flight ends, and whatever hangs: then nobody uses the buffers and requests
// of what has failed any more, and every page is nobody's.
Status Running::recover(EventSink& sink) {
  while (!in_flight_.empty()) end_oldest(sink);
  const std::vector<Failed> failed = std::exchange(failed_, {});
  if (const Status quiet = executor_->clear_events(); !quiet.ok()) return stop(quiet.error());
  warm_.assign(warm_.size(), false);
  const Error& cause = failed.front().error;
  failed_rounds_ += !std::ranges::all_of(failed, [&](const Failed& one) { return lost(one); });
  if (failed_rounds_ == kMaxFailedRounds) {
    return stop({cause.code, "nothing has succeeded in " + std::to_string(kMaxFailedRounds) +
                                 " attempts, one after the other; the last: " + cause.message});
  }
  if (given_up_ >= kMaxGivenUpBatches * model_->plan.policy.batch) {
    return stop({cause.code, std::to_string(given_up_) +
                                 " requests were given up and nothing has succeeded in between; "
                                 "the last: " +
                                 cause.message});
  }
  for (const Failed& one : failed) take_back(flights_[one.slot], sink);
  for (const Failed& one : failed) blame(one);
  if (may_pass(cause)) {
    environment_.clock->sleep_until(
        environment_.clock->now() +
        std::chrono::milliseconds(options_.retry_pause_ms * failed_rounds_));
  }
  return {};
}

// What had been sampled counts, and may have been an answer's last; the rest is computed again.
void Running::take_back(Flight& flight, EventSink& sink) {
  outcomes_.clear();
  for (size_t i = 0; i < flight.batch.slices.size(); ++i) {
    ChoiceRun& choice = *flight.choices[i];
    const scheduler::Slice& slice = flight.batch.slices[i];
    --choice.in_flight;
    choice.done_before = {slice.first_position, slice.rows,
                          std::max<Progress>(flight.done, flight.done_before)};
    if (slice.samples) {
      outcomes_.push_back(
          {.token = choice.last_token(), .ended = choice.ended(), .sampled = choice.sampled});
    }
  }
  scheduler_.fail(flight.batch, outcomes_);
  flight.out = false;
  for (size_t i = 0; i < flight.batch.slices.size(); ++i) {
    ChoiceRun& choice = *flight.choices[i];
    report(choice, sink);
    if (!choice.ended()) continue;
    const scheduler::SequenceId sequence = flight.batch.slices[i].sequence;
    scheduler_.cancel(sequence);
    finish_choice(sequence, sink);
    failed_rounds_ = 0;
  }
}

// The page that tokens or routing asked for and that did not come. What was moved ahead, or carries
// all rows, is no request's alone. Of the cache on disk, the block.
std::optional<DiskPage> Running::asked_page(const Failed& failed) const {
  const schedule::Transfer* transfer = failed.task ? failed.task->transfer() : nullptr;
  if (transfer != nullptr && transfer->payload == schedule::Payload::kKv && disk_kv() != nullptr) {
    const auto block = disk_kv()->failed_block(failed.slot);
    if (!block) return std::nullopt;
    return DiskPage{schedule::Payload::kKv, static_cast<uint32_t>(*block)};
  }
  if (transfer == nullptr || transfer->urgency != schedule::Urgency::kNeeded) return std::nullopt;
  const DiskPage page = page_of(*transfer);
  const bool weights =
      page.kind == schedule::Payload::kWeights || page.kind == schedule::Payload::kRow;
  return weights ? std::optional(page) : std::nullopt;
}

bool Running::doubtful(DiskPage page) const {
  if (page.kind == schedule::Payload::kRow) return rows()->doubtful(page.id);
  if (page.kind == schedule::Payload::kKv)
    return disk_kv()->doubtful(static_cast<int32_t>(page.id));
  return paging()->pages().doubtful(page.id);
}

bool Running::lost(const Failed& failed) const {
  const auto page = asked_page(failed);
  return page && lost_pages_.contains(*page) && doubtful(*page);
}

// Whether a token of the slice is the page's row, its sequence has the block, or rows of the slice
// have chosen the page's expert, in the layer that was routed last.
bool Running::needs(const Flight& flight, const scheduler::Slice& slice, DiskPage page) const {
  if (page.kind == schedule::Payload::kRow) {
    const auto tokens = flight.batch.view().token_ids.subspan(static_cast<size_t>(slice.first_row),
                                                              static_cast<size_t>(slice.rows));
    return std::ranges::find(tokens, static_cast<int32_t>(page.id)) != tokens.end();
  }
  if (page.kind == schedule::Payload::kKv) {
    const auto index = static_cast<size_t>(&slice - flight.batch.slices.data());
    const models::SequenceRows& rows = flight.batch.view().sequences[index];
    const int64_t blocks =
        base::div_up(rows.first_position + rows.rows, model_->plan.kv_block_tokens);
    return std::find(rows.blocks, rows.blocks + blocks, static_cast<int32_t>(page.id)) !=
           rows.blocks + blocks;
  }
  const models::Activations& act =
      device_ != nullptr ? flight.device_activations : flight.activations;
  const int expert = paging()->expert_of(page.id);
  const auto layer = static_cast<size_t>(paging()->layer_of(page.id));
  const int64_t top_k = config().layers[layer].ffn.top_k;
  const int64_t first = slice.first_row * top_k;
  for (int64_t i = first; i < first + slice.rows * top_k; ++i) {
    if (act.expert[i] == expert) return true;
  }
  return false;
}

// Gives up the requests that have no hope left; they end with the next step.
void Running::blame(const Failed& failed) {
  const auto page = asked_page(failed);
  if (!page) return;
  const bool hopeless = !may_pass(failed.error) || lost(failed);
  const Flight& flight = flights_[failed.slot];
  for (const scheduler::Slice& slice : flight.batch.slices) {
    const auto found = choices_.find(slice.sequence);
    if (found == choices_.end() || found->second->ended()) continue;
    if (!needs(flight, slice, *page)) continue;
    ChoiceRun& choice = *found->second;
    choice.attempts = choice.wanted_page == *page ? choice.attempts + 1 : 1;
    choice.wanted_page = *page;
    if (!hopeless && choice.attempts < kMaxAttempts) continue;
    lost_pages_.insert(*page);
    RequestRun& request = choice.request();
    request.error = Error{ErrorCode::kFault, "what this request needs cannot be had (attempts: " +
                                                 std::to_string(choice.attempts) +
                                                 "): " + failed.error.message};
    cancel(request.request.id);
    ++given_up_;
  }
}

Status Running::stop(const Error& cause) {
  stopped_ = Error{ErrorCode::kFault, "the engine stops: " + cause.message};
  refresh_stats();
  return *stopped_;
}

}  // namespace sluice::engine
