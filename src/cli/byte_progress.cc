#include "cli/byte_progress.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/units.h"
#include "batch/bars.h"
#include "cli/terminal.h"

namespace sluice::cli {
namespace {

constexpr std::chrono::seconds kRateOver{10};
constexpr std::chrono::milliseconds kLiveEvery{100}, kLogEvery{10'000};
constexpr int kMaxBarCells = 30, kMinBarCells = 8;

std::string bytes_text(double bytes) { return base::format_bytes(bytes); }

}  // namespace

ByteProgress::ByteProgress(std::string what, int64_t total, int64_t before)
    : what_(std::move(what)), total_(total), live_(is_terminal(2)), shown_(Clock::now()) {
  samples_.push_back({shown_, before});
}

void ByteProgress::update(int64_t done) {
  const auto now = Clock::now();
  if (now - shown_ < (live_ ? kLiveEvery : kLogEvery)) return;
  shown_ = now;
  samples_.push_back({now, done});
  while (samples_.size() > 2 && now - samples_[1].at > kRateOver) samples_.pop_front();
  const Sample& from = samples_.front();
  const double seconds = std::chrono::duration<double>(now - from.at).count();
  const double rate = static_cast<double>(done - from.done) / std::max(seconds, 1e-9);
  const double left = static_cast<double>(total_ - done);
  const std::string eta =
      rate > 0 ? "ETA " + base::format_seconds(std::max(1.0, left / rate)) : "ETA -";
  const std::string pace = bytes_text(rate) + "/s";
  const auto so_far = static_cast<double>(done), whole = static_cast<double>(total_);
  if (!live_) {
    std::fprintf(stderr, "%s: %s of %s, %s, %s\n", what_.c_str(), bytes_text(so_far).c_str(),
                 bytes_text(whole).c_str(), pace.c_str(), eta.c_str());
    return;
  }
  std::string text = bytes_text(so_far) + "/" + bytes_text(whole) + "  " + eta + "  " + pace;
  const int room = columns(2) - 1 - batch::cells(text) - 4;
  if (room >= kMinBarCells)
    text = "▕" + batch::bar(so_far / whole, std::min(room, kMaxBarCells)) + "▏ " + text;
  std::fprintf(stderr, "\r\x1b[2K%s", text.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void ByteProgress::clear() {
  if (drawn_) std::fprintf(stderr, "\r\x1b[2K");
  drawn_ = false;
}

}  // namespace sluice::cli
