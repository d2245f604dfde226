// The output of a batch: lines appended whole, each once, synced to the disk in bounded intervals.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "batch/answer.h"
#include "batch/file.h"
#include "batch/journal.h"

namespace sluice::batch {

// After this much is written, or this long has passed, what is written is synced.
struct SyncInterval {
  int64_t bytes = int64_t{8} << 20;
  std::chrono::milliseconds time{2000};
};

class Output {
 public:
  // Opens or creates `path` for a journal that is locked, whose faults it shares; intervals go by
  // `clock`. kInvalid: not a regular file.
  static Result<Output> open(const std::string& path, Journal& journal, SyncInterval interval = {},
                             const base::Clock& clock = base::steady_clock());

  // Reads what is there, from front to back, and cuts off a torn end: a last line without its
  // newline, or anything broken past what the journal knows to be synced (without a journal, all of
  // it was). kCorrupt when something else in the file is not an answer.
  using OnAnswer = std::function<Status(const AnswerHead& head, int64_t offset)>;
  Status recover(const OnAnswer& on_answer);

  // Takes the lines of requests that failed by faults of the machine out of the file, so that they
  // are answered again; returns how many. Before recover(). What is left replaces the file in one
  // step: a kill, a full disk or any other failure leaves it as it was, or without all of them.
  Result<int64_t> drop_faults();

  // `line` has no newline. When this fails, nothing of the line is left in the file.
  Status append(std::string_view line);
  // Syncs if an interval has passed.
  Status sync_if_due();
  Status sync();

  // The custom_id of the answer at `offset`.
  Result<std::string> id_at(int64_t offset) const;
  int64_t bytes() const { return bytes_; }
  // Whole lines, counted by their ends.
  Result<int64_t> count_lines() const;
  const File& file() const { return file_; }

 private:
  Output(File file, Journal& journal, SyncInterval interval, const base::Clock& clock)
      : file_(std::move(file)), journal_(&journal), interval_(interval), clock_(&clock) {}

  File file_;
  Journal* journal_;
  SyncInterval interval_;
  const base::Clock* clock_;
  int64_t bytes_ = 0, synced_ = 0;
  base::Clock::time_point first_unsynced_{};
};

}  // namespace sluice::batch
