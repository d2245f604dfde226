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
constexpr std::chrono::seconds kSilent{2};  // what ends within that needs no bar
constexpr std::chrono::milliseconds kLiveEvery{100}, kLogEvery{10'000};
constexpr int kMaxBarCells = 30, kMinBarCells = 8;

std::string bytes_text(double bytes) { return base::format_bytes(bytes); }

}  // namespace

ByteDisplay standard_error() {
  return {.live = is_terminal(2), .columns = [] { return columns(2); }};
}

ByteProgress::ByteProgress(std::string what, int64_t total, int64_t before, ByteDisplay display)
    : what_(std::move(what)), total_(total), display_(std::move(display)) {
  begun_ = shown_ = display_.now();
  samples_.push_back({begun_, before});
}

std::string ByteProgress::live_line(int64_t done, const std::string& eta,
                                    const std::string& pace) const {
  const auto so_far = static_cast<double>(done), whole = static_cast<double>(total_);
  std::string text = bytes_text(so_far) + "/" + bytes_text(whole) + "  " + eta + "  " + pace;
  const int room = display_.columns() - 1 - batch::cells(text) - batch::cells(what_) - 5;
  if (room >= kMinBarCells)
    text = "▕" + batch::bar(so_far / whole, std::min(room, kMaxBarCells)) + "▏ " + text;
  return what_ + " " + text;
}

void ByteProgress::update(int64_t done) {
  const auto now = display_.now();
  if (now - shown_ < (display_.live ? kLiveEvery : kLogEvery)) return;
  shown_ = now;
  samples_.push_back({now, done});
  while (samples_.size() > 2 && now - samples_[1].at > kRateOver) samples_.pop_front();
  if (display_.live && now - begun_ < kSilent) return;
  const Sample& from = samples_.front();
  const double seconds = std::chrono::duration<double>(now - from.at).count();
  const double rate = static_cast<double>(done - from.done) / std::max(seconds, 1e-9);
  const double left = static_cast<double>(total_ - done);
  const std::string eta =
      rate > 0 ? "ETA " + base::format_seconds(std::max(1.0, left / rate)) : "ETA -";
  const std::string pace = bytes_text(rate) + "/s";
  if (!display_.live) {
    std::fprintf(display_.out, "%s: %s of %s, %s, %s\n", what_.c_str(),
                 bytes_text(static_cast<double>(done)).c_str(),
                 bytes_text(static_cast<double>(total_)).c_str(), pace.c_str(), eta.c_str());
    return;
  }
  std::fprintf(display_.out, "\r\x1b[2K%s", live_line(done, eta, pace).c_str());
  std::fflush(display_.out);
  drawn_ = true;
}

void ByteProgress::clear() {
  if (drawn_) std::fprintf(display_.out, "\r\x1b[2K");
  drawn_ = false;
}

}  // namespace sluice::cli
