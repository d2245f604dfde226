// Reads of the disk lane that nobody has asked for.
#include <algorithm>

#include "engine/disk_runner.h"

namespace sluice::engine {

using Claim = memory::WeightPages::Claim;

// What the holder guessed before is too late.
void DiskRunner::take_guess(const schedule::Task& task, const pipeline::TaskContext& context) {
  const Guess guess{task, static_cast<int>(context.user), context.ticket.iteration};
  std::erase_if(guesses_, [&](const Guess& other) {
    return other.holder == guess.holder &&
           (other.iteration != guess.iteration || other.task.layer != task.layer);
  });
  if (guesses_.size() < guesses_.capacity()) guesses_.push_back(guess);
  read_guesses();
}

bool DiskRunner::may_guess() const {
  if (guessing_ >= kMostGuesses || (kv_ != nullptr && kv_->moving())) return false;
  int64_t bytes = 0;
  for (const Load& load : loads_) {
    if (load.used) bytes += load.bytes;
  }
  return bytes < busy_bytes_;
}

void DiskRunner::read_guesses() {
  while (!guesses_.empty() && may_guess()) {
    const Guess guess = guesses_.front();
    guesses_.erase(guesses_.begin());
    if (paging_->pages().guess(guess.page(), guess.holder) == Claim::kLoad) read_guess(guess);
  }
}

void DiskRunner::read_guess(const Guess& guess) {
  const DiskPage page = page_of(*guess.task.transfer());
  const int64_t bytes = guess.task.transfer()->bytes;
  ++guess_pages_;
  guess_bytes_ += bytes;
  if (files_.empty()) {
    Load made{.page = page, .guess = guess, .started = clock_.now()};
    begin_work(made, Work::kGuess);
    end_guess(made, make(page, bytes));
    end_work(made);
    return;
  }
  Load* const free = free_load();
  SLUICE_CHECK(free != nullptr, "guesses have loads of their own");
  *free = {.page = page, .bytes = bytes, .used = true, .guess = guess, .started = clock_.now()};
  if (!submit(static_cast<size_t>(free - loads_.data())).ok()) {
    free->used = false;
    experts_->failed(page.id);
    return;
  }
  begin_work(*free, Work::kGuess);
  ++guessing_;
}

// A page that is being read is asked for.
void DiskRunner::want(const Wish& wish) {
  Load* const load = load_of(wish.page);
  if (load == nullptr || load->needed) return;
  load->needed = true;
  end_work(*load);
  if (wish.planned) begin_work(*load, Work::kPlanned);
  --guessing_;
}

// One that failed is in doubt from now on; that is all.
void DiskRunner::end_guess(const Load& load, const Status& status) {
  if (trace_ == nullptr) return;
  pipeline::TaskResult result;
  result.bytes = static_cast<double>(load.guess->task.transfer()->bytes);
  trace_->record(load.guess->task, load.guess->iteration, load.started, clock_.now(),
                 status.ok() ? Result<pipeline::TaskResult>(result) : status.error());
}

}  // namespace sluice::engine
