#include "batch/runner.h"

namespace sluice::batch {
namespace {

using engine::RequestOutput;

// A request's id is its line and which of the line's prompts it is: the same in every run, so that
// a seed drawn from it is too.
constexpr int kPromptBits = 10;
static_assert(kMaxPrompts <= size_t{1} << kPromptBits);

engine::RequestId request_id(int64_t line, size_t prompt) {
  return static_cast<uint64_t>(line) << kPromptBits | prompt;
}
int64_t line_of(engine::RequestId id) { return static_cast<int64_t>(id >> kPromptBits); }
size_t prompt_of(engine::RequestId id) { return id & ((size_t{1} << kPromptBits) - 1); }

// Requests that failed by faults of the machine, until a run stops in which fewer were answered:
// nobody wants a line of error for each of a million.
constexpr int64_t kFaultLinesAllowed = 100;

// Adds the time of its life to a sum.
class Timed {
 public:
  Timed(const base::Clock& clock, double& sum) : clock_(clock), sum_(sum), start_(clock.now()) {}
  ~Timed() { sum_ += base::seconds(clock_.now() - start_); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  const base::Clock& clock_;
  double& sum_;
  base::Clock::time_point start_;
};

bool was_cancelled(const RequestOutput& output) {
  for (const engine::Choice& choice : output.choices) {
    if (choice.finish == engine::FinishReason::kCancelled) return true;
  }
  return output.error && output.error->code == ErrorCode::kCancelled;
}

}  // namespace

Runner::Runner(engine::Engine& engine, Feeder& feeder, Output& output, AnswerContext context,
               RunnerHooks hooks, RunState begin)
    : engine_(engine),
      feeder_(feeder),
      output_(output),
      context_(std::move(context)),
      hooks_(std::move(hooks)),
      state_(begin) {}

int Runner::stop_requested() const {
  return hooks_.stop_requested == nullptr ? kGoOn : hooks_.stop_requested->load();
}

Status Runner::run() {
  const Status ran = loop();
  const Status synced = output_.sync();
  return ran ? synced : ran;
}

Status Runner::loop() {
  const base::Clock& clock = *hooks_.clock;
  const auto start = clock.now();
  const auto elapsed = [&] { return base::seconds(clock.now() - start); };
  engine::EventSink sink;
  Status finished;
  sink.on_token = [this](engine::RequestId id, int, const std::string&, int32_t) {
    if (const auto it = in_flight_.find(line_of(id)); it != in_flight_.end())
      it->second.started = true;
  };
  sink.on_finished = [&](RequestOutput&& output) {
    if (finished) finished = finish(std::move(output));
  };
  bool cancelled = false;
  for (;;) {
    const int stop = stop_requested();
    if (stop == kStopNow) break;
    if (stop == kGoOn) {
      SLUICE_TRY(refill());
    } else if (!cancelled) {
      cancel_unstarted();
      cancelled = true;
    }
    if (engine_.idle()) {
      const bool more = !ready_.empty() || unsubmitted_line_ != 0 || !input_ended_;
      if (!more || stop != kGoOn) break;
      continue;
    }
    {
      Timed timed(*hooks_.clock, state_.computing_seconds);
      SLUICE_TRY(engine_.step(sink));
    }
    SLUICE_TRY(finished);
    {
      Timed timed(*hooks_.clock, state_.writing_seconds);
      SLUICE_TRY(output_.sync_if_due());
    }
    state_.seconds = elapsed();
    state_.running = engine_.running();
    state_.queued = engine_.queued();
    if (hooks_.on_progress) hooks_.on_progress(state_, engine_.stats());
  }
  state_.seconds = elapsed();
  state_.running = state_.queued = 0;
  state_.at_end = input_ended_ && ready_.empty() && in_flight_.empty();
  state_.stopped = !state_.at_end;
  return {};
}

// Keeps one batch waiting behind the one that runs, so that a slot is refilled at once.
Status Runner::refill() {
  const int64_t wanted = std::max<int64_t>(1, engine_.plan().policy.batch);
  while (engine_.queued() < wanted) {
    if (unsubmitted_line_ != 0) {
      SLUICE_TRY(submit_some(in_flight_.at(unsubmitted_line_)));
      if (unsubmitted_line_ != 0) return {};
      continue;
    }
    if (!ready_.empty()) {
      SLUICE_TRY(start_next());
      continue;
    }
    if (input_ended_ || stop_requested() != kGoOn) return {};
    Window window;
    {
      Timed timed(*hooks_.clock, state_.reading_seconds);
      SLUICE_ASSIGN(window, feeder_.next());
    }
    input_ended_ = window.at_end;
    state_.other_models += window.other_models;
    state_.answered_before += window.passed_over;
    for (const BadLine& bad : window.bad)
      SLUICE_TRY(write_error(bad.custom_id, bad.number, bad.error));
    for (ReadyLine& line : window.ready) ready_.push_back(std::move(line));
    SLUICE_TRY(output_.sync_if_due());
    if (hooks_.on_progress) hooks_.on_progress(state_, engine_.stats());
  }
  return {};
}

Status Runner::start_next() {
  InFlight flight;
  flight.line = std::move(ready_.front());
  ready_.pop_front();
  const ReadyLine& line = flight.line;
  engine::Request request;
  request.sampling = line.line.sampling;
  request.guide = line.line.guide;
  for (size_t i = 0; i < line.prompts.size(); ++i) {
    request.id = request_id(line.number, i);
    request.prompt = line.prompts[i];
    request.sampling.max_tokens = line.max_tokens[i];
    if (const Status checked = engine_.check(request); !checked)
      return write_error(line.custom_id, line.number, request_error(checked.error()));
  }
  flight.missing = line.prompts.size();
  flight.outputs.resize(line.prompts.size());
  const int64_t number = line.number;
  unsubmitted_line_ = number;
  return submit_some(in_flight_.emplace(number, std::move(flight)).first->second);
}

// Hands over the prompts that the engine has room for; the rest follow with the next refill.
Status Runner::submit_some(InFlight& flight) {
  while (flight.submitted < flight.line.prompts.size()) {
    const size_t i = flight.submitted;
    engine::Request request;
    request.id = request_id(flight.line.number, i);
    request.prompt = flight.line.prompts[i];
    request.sampling = flight.line.line.sampling;
    request.sampling.max_tokens = flight.line.max_tokens[i];
    request.guide = flight.line.line.guide;
    const Status submitted = engine_.submit(std::move(request));
    if (!submitted && submitted.error().code == ErrorCode::kNoRoom && !engine_.idle()) return {};
    if (!submitted) return submitted.error().in("line " + std::to_string(flight.line.number));
    ++flight.submitted;
  }
  unsubmitted_line_ = 0;
  return {};
}

Status Runner::finish(RequestOutput&& output) {
  const auto it = in_flight_.find(line_of(output.id));
  SLUICE_CHECK(it != in_flight_.end(), "a finished request belongs to a line in flight");
  InFlight& flight = it->second;
  flight.cancelled = flight.cancelled || was_cancelled(output);
  if (!flight.cancelled && !output.error && hooks_.on_output) hooks_.on_output(flight.line, output);
  flight.outputs[prompt_of(output.id)] = std::move(output);
  if (--flight.missing > 0) return {};
  Status written;
  if (!flight.cancelled) written = write_answer(flight);
  in_flight_.erase(it);
  return written;
}

Status Runner::write_answer(InFlight& flight) {
  Timed timed(*hooks_.clock, state_.writing_seconds);
  const ReadyLine& line = flight.line;
  for (const RequestOutput& output : flight.outputs) {
    if (!output.error) continue;
    SLUICE_TRY(write_error(line.custom_id, line.number, request_error(*output.error)));
    return output.error->code == ErrorCode::kFault ? count_fault(*output.error) : Status();
  }
  const std::string text = answer_line(line.line, line.custom_id, line.prompts, flight.outputs,
                                       hooks_.now_unix_s ? hooks_.now_unix_s() : 0, context_);
  if (text.size() > kMaxAnswerBytes) {
    return write_error(line.custom_id, line.number,
                       {400, "answer_too_long",
                        "the answer takes " + std::to_string(text.size()) +
                            " bytes, the limit is " + std::to_string(kMaxAnswerBytes) +
                            "; ask for fewer prompts, choices or logprobs a line",
                        "", true});
  }
  SLUICE_TRY(output_.append(text));
  ++state_.answered;
  return {};
}

Status Runner::write_error(const std::string& custom_id, int64_t number, const LineError& error) {
  SLUICE_TRY(output_.append(error_line(custom_id, number, error)));
  ++state_.failed;
  return {};
}

Status Runner::count_fault(const Error& error) {
  if (++state_.faulted < kFaultLinesAllowed || state_.faulted <= state_.answered) return {};
  return Error{ErrorCode::kFault,
               "faults of the machine failed " + std::to_string(state_.faulted) +
                   " requests, more than were answered; the last: " + error.message};
}

// What has no token yet costs little to do again.
void Runner::cancel_unstarted() {
  input_ended_ = input_ended_ && ready_.empty();
  ready_.clear();
  for (auto& [number, flight] : in_flight_) {
    if (flight.started && number != unsubmitted_line_) continue;
    flight.cancelled = true;
    input_ended_ = false;
    flight.missing -= flight.line.prompts.size() - flight.submitted;
    for (size_t i = 0; i < flight.submitted; ++i) engine_.cancel(request_id(number, i));
  }
  if (unsubmitted_line_ == 0) return;
  if (in_flight_.at(unsubmitted_line_).missing == 0) in_flight_.erase(unsubmitted_line_);
  unsubmitted_line_ = 0;
}

}  // namespace sluice::batch
