#include "batch/progress.h"

#include <algorithm>
#include <vector>

#include "base/units.h"
#include "batch/bars.h"

namespace sluice::batch {
namespace {

constexpr double kRateSeconds = 10;  // rates are over about this long
constexpr size_t kMaxSamples = 256;
constexpr int kMaxBarCells = 30, kMinBarCells = 8;

std::string eta(double seconds) {
  return seconds < 0 ? "ETA -" : "ETA " + base::format_seconds(std::max(1.0, seconds));
}

}  // namespace

std::string live_line(const ProgressView& view, int columns) {
  const double share =
      view.requests > 0 ? static_cast<double>(view.done) / static_cast<double>(view.requests) : 0;
  const std::string count = base::format_count(view.done) + "/" + base::format_count(view.requests);
  // From the most telling to the least.
  std::vector<std::string> parts = {count, eta(view.eta_seconds)};
  parts.push_back(rate(view.generated_per_second) + " tok/s");
  if (view.failed > 0) parts.push_back(base::format_count(view.failed) + " errors");
  if (view.repeated > 0) parts.push_back(base::format_count(view.repeated) + " retries");
  parts.push_back("prompt " + rate(view.prompt_per_second) + " tok/s");
  parts.push_back("KV " + percent(view.kv_share));
  parts.push_back(base::format_count(view.running) + " running");
  std::string text;
  for (const std::string& part : parts) {
    const std::string longer = text.empty() ? part : text + "  " + part;
    if (cells(longer) > columns - 1) break;
    text = longer;
  }
  const int left = columns - 1 - cells(text) - 4;
  if (left < kMinBarCells) return text;
  return "▕" + bar(share, std::min(left, kMaxBarCells)) + "▏ " + text;
}

std::string log_line(const ProgressView& view) {
  std::string text =
      base::format_count(view.done) + " of " + base::format_count(view.requests) + " requests done";
  if (view.failed > 0) text += ", " + base::format_count(view.failed) + " error lines";
  if (view.repeated > 0)
    text += ", " + base::format_count(view.repeated) + " iterations repeated after faults";
  text += "; " + rate(view.generated_per_second) + " generated tok/s, " +
          rate(view.prompt_per_second) + " prompt tok/s, KV " + percent(view.kv_share) + ", " +
          eta(view.eta_seconds);
  return text;
}

Progress::Progress(ProgressOptions options, std::function<void(const std::string&)> write)
    : options_(std::move(options)), write_(std::move(write)) {}

void Progress::update(const RunState& state, const engine::EngineStats& stats) {
  const auto now = Clock::now();
  if (!any_ && !options_.live) last_ = now;
  if ((any_ || !options_.live) &&
      now - last_ < (options_.live ? options_.live_every : options_.log_every)) {
    any_ = true;
    return;
  }
  any_ = true;
  last_ = now;
  samples_.push_back({state.seconds, state.done(), stats.generated_tokens, stats.prompt_tokens});
  while (samples_.size() > 2 &&
         (state.seconds - samples_[1].seconds > kRateSeconds || samples_.size() > kMaxSamples))
    samples_.pop_front();
  const Sample from = samples_.size() > 1 ? samples_.front() : Sample();
  const double seconds = std::max(1e-9, state.seconds - from.seconds);
  ProgressView view;
  view.requests = state.requests;
  view.done = state.done();
  view.failed = state.failed;
  view.repeated = stats.failed_iterations;
  view.running = state.running;
  view.generated_per_second =
      static_cast<double>(stats.generated_tokens - from.generated) / seconds;
  view.prompt_per_second = static_cast<double>(stats.prompt_tokens - from.prompt) / seconds;
  if (stats.kv_blocks > 0)
    view.kv_share =
        static_cast<double>(stats.kv_blocks_used) / static_cast<double>(stats.kv_blocks);
  // Over the whole run: requests finish in clumps, and a short window would swing.
  const auto by_this_run = static_cast<double>(state.answered + state.failed);
  if (by_this_run > 0)
    view.eta_seconds =
        static_cast<double>(state.requests - state.done()) * state.seconds / by_this_run;
  if (options_.live) {
    const int columns = options_.columns ? options_.columns() : 80;
    write_("\r\x1b[2K" + live_line(view, columns));
    drawn_ = true;
  } else {
    write_(log_line(view) + "\n");
  }
}

void Progress::clear() {
  if (drawn_) write_("\r\x1b[2K");
  drawn_ = false;
}

}  // namespace sluice::batch
