#include "engine/disk_runner.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::engine {

DiskRunner::DiskRunner(ExpertPaging* paging, models::WeightSource* source, const Options& options)
    : paging_(paging),
      source_(source),
      rows_(options.rows),
      flights_(options.flights),
      clock_(*options.environment->clock),
      times_(*options.times),
      timeout_(options.timeout_ms),
      trace_(options.trace),
      busy_bytes_(options.guess_bytes) {
  static_assert(kCapacity + kMostGuesses <= memory::kRowReads);
  if (paging != nullptr) experts_.emplace(*paging, *source);
  if (rows_ != nullptr) row_pages_.emplace(*rows_, *options.embedding);
  loads_.resize(kCapacity + kMostGuesses);
  guesses_.reserve(kCapacity);
  waiters_.reserve(kCapacity);
  ended_.reserve(kCapacity);
  completions_.resize(loads_.size());
}

Result<std::unique_ptr<DiskRunner>> DiskRunner::create(ExpertPaging* paging,
                                                       models::WeightSource* source,
                                                       const Options& options) {
  std::unique_ptr<DiskRunner> runner(new DiskRunner(paging, source, options));
  const bool pages = paging != nullptr && !source->files().empty();
  if (!pages && options.kv == nullptr) return runner;
  const int64_t kv = options.kv != nullptr ? DiskKv::most_requests(*options.kv) : 0;
  SLUICE_ASSIGN(runner->reader_,
                io::Reader::create({.max_requests = kCapacity + kMostGuesses + kv,
                                    .faults = options.faults,
                                    .make_queue = options.environment->make_device_queue,
                                    .clock = options.environment->clock}));
  if (pages) SLUICE_TRY(runner->open_files(options));
  if (options.kv == nullptr) return runner;
  SLUICE_ASSIGN(runner->kv_, DiskKv::create(*options.kv,
                                            {.reader = runner->reader_.get(),
                                             .times = &runner->times_,
                                             .clock = &runner->clock_,
                                             .first_request = runner->loads_.size(),
                                             .timeout = runner->timeout_},
                                            options.kv_directory));
  return runner;
}

Status DiskRunner::open_files(const Options& options) {
  for (const std::filesystem::path& file : source_->files()) {
    SLUICE_ASSIGN(const io::FileId id, reader_->open(file));
    files_.push_back(id);
  }
  SLUICE_TRY(reader_->register_memory(paging_->pages().memory()));
  return options.rows != nullptr ? reader_->register_memory(options.rows->memory()) : Status();
}

int DiskRunner::capacity() const { return kCapacity; }

DiskPages& DiskRunner::pages(DiskPage page) {
  if (page.kind == schedule::Payload::kRow) return *row_pages_;
  return *experts_;
}

const DiskPages& DiskRunner::pages(DiskPage page) const {
  return const_cast<DiskRunner*>(this)->pages(page);
}

Result<pipeline::AsyncTaskRunner::Start> DiskRunner::start(const schedule::Task& task,
                                                           const pipeline::TaskContext& context,
                                                           uint64_t token) {
  const schedule::Transfer* move = task.transfer();
  SLUICE_CHECK(move != nullptr, "the disk lane moves");
  if (move->payload == schedule::Payload::kKv) return start_kv(task, context.user, token);
  SLUICE_CHECK(move->to == schedule::Level::kHost && move->pages.count == 1,
               "the disk lane reads one page at a time");
  const Wish wish{page_of(*move), move->bytes, token, planned(task, context.user)};
  if (wish.page.kind == schedule::Payload::kRow) return start_row(wish);
  SLUICE_CHECK(wish.page.kind == schedule::Payload::kWeights, "the disk lane reads weights");
  return start_page(task, context, wish);
}

Result<pipeline::AsyncTaskRunner::Start> DiskRunner::start_page(
    const schedule::Task& task, const pipeline::TaskContext& context, const Wish& wish) {
  const schedule::Transfer* read = task.transfer();
  const DiskPage page = wish.page;
  if (read->urgency == schedule::Urgency::kGuess) {
    take_guess(task, context);
    return Start::kDone;
  }
  switch (paging_->pages().claim(page.id, static_cast<int>(context.user),
                                 read->urgency == schedule::Urgency::kAhead)) {
    case memory::WeightPages::Claim::kResident:
      return Start::kDone;
    case memory::WeightPages::Claim::kLoading:
      want(wish);
      wait_for(page, wish.token);
      return Start::kStarted;
    case memory::WeightPages::Claim::kNoRoom:
      guesses_.clear();  // whatever room there will be is for what is needed
      return Start::kNoRoom;
    case memory::WeightPages::Claim::kLoad:
      return load(wish);
  }
  base::check_failed("known claim", "a Claim outside its enum", __FILE__, __LINE__);
}

// Not what is read again: since it could not be read before, or for rows that have been through the
// layer.
bool DiskRunner::planned(const schedule::Task& task, uint64_t flight) const {
  const DiskPage page = page_of(*task.transfer());
  if (pages(page).doubtful(page.id)) return false;
  return flights_ == nullptr || progress_of(task) > (*flights_)[flight].done_before;
}

// Its iteration has claimed it; another may have read it since then, or be about to.
Result<pipeline::AsyncTaskRunner::Start> DiskRunner::start_row(const Wish& row) {
  if (rows_->loaded(row.page.id)) return Start::kDone;
  if (load_of(row.page) == nullptr) return load(row);
  wait_for(row.page, row.token);
  return Start::kStarted;
}

Result<pipeline::AsyncTaskRunner::Start> DiskRunner::load(const Wish& wish) {
  const DiskPage page = wish.page;
  Load made{.page = page, .bytes = wish.bytes, .used = true, .needed = true};
  if (files_.empty()) {
    if (wish.planned) begin_work(made, Work::kPlanned);
    const Status status = make(page, wish.bytes);
    end_work(made);
    if (!status.ok()) return status.error();
    return Start::kDone;
  }
  Load* const free = free_load();
  if (free == nullptr) {
    pages(page).failed(page.id);
    return Error{ErrorCode::kTimeout, "all " + std::to_string(kCapacity) +
                                          " reads that may be under way have stalled, the first " +
                                          "of " + place(loads_.front().page) + "; check the disk"};
  }
  *free = made;
  if (const Status status = submit(static_cast<size_t>(free - loads_.data())); !status.ok()) {
    free->used = false;
    pages(page).failed(page.id);
    return status.error();
  }
  wait_for(page, wish.token);
  if (wish.planned) begin_work(*free, Work::kPlanned);
  return Start::kStarted;
}

DiskRunner::Load* DiskRunner::free_load() {
  const auto free = std::ranges::find_if(loads_, [](const Load& load) { return !load.used; });
  return free == loads_.end() ? nullptr : &*free;
}

DiskRunner::Load* DiskRunner::load_of(DiskPage page) {
  const auto load =
      std::ranges::find_if(loads_, [&](const Load& one) { return one.used && one.page == page; });
  return load == loads_.end() ? nullptr : &*load;
}

Status DiskRunner::make(DiskPage page, int64_t bytes) {
  const Status status = pages(page).make(page.id, 0);
  if (status.ok()) {
    count(page, bytes);
  } else {
    pages(page).failed(page.id);
  }
  return status;
}

void DiskRunner::count(DiskPage page, int64_t bytes) {
  const bool row = page.kind == schedule::Payload::kRow;
  ++(row ? rows_read_ : pages_);
  (row ? row_bytes_ : bytes_) += bytes;
}

Status DiskRunner::submit(size_t index) {
  Load& load = loads_[index];
  const auto at = pages(load.page).at(load.page.id);
  SLUICE_CHECK(at.has_value(), "a source with files says where its pages lie");
  ++load.tries;
  return reader_->submit(
      {.file = files_[static_cast<size_t>(at->file)],
       .offset = at->offset,
       .bytes = at->bytes,
       .memory = pages(load.page).room(load.page.id, static_cast<int>(index)).data(),
       .user = index});
}

size_t DiskRunner::poll(std::span<Ended> ended, int64_t timeout_ms) {
  if (ended_.empty() && reader_ != nullptr) {
    const size_t count = reader_->wait(completions_, poll_ms(timeout_ms));
    for (size_t i = 0; i < count; ++i) {
      const uint64_t user = completions_[i].user;
      if (user < loads_.size()) {
        finish(static_cast<size_t>(user), completions_[i].status);
      } else if (const auto moved = kv_->finish(user, completions_[i].status)) {
        end_waiters({schedule::Payload::kKv, moved->first}, moved->second);
      }
    }
    end_overdue();
    read_guesses();
  }
  const size_t count = std::min(ended.size(), ended_.size());
  std::copy_n(ended_.begin(), count, ended.begin());
  ended_.erase(ended_.begin(), ended_.begin() + static_cast<ptrdiff_t>(count));
  return count;
}

void DiskRunner::finish(size_t index, const Status& read) {
  Load& load = loads_[index];
  const DiskPage page = load.page;
  Status status = read.ok() ? pages(page).arrived(page.id, static_cast<int>(index)) : read;
  end_work(load);
  const int tries = load.needed ? kDiskTries : 1;
  if (!status.ok() && load.tries < tries && submit(index).ok()) {
    ++retries_;
    return;
  }
  load.used = false;
  if (!load.needed) --guessing_;
  if (load.guess) end_guess(load, status);
  if (status.ok()) {
    count(page, load.bytes);
  } else {
    pages(page).failed(page.id);
    if (!read.ok()) status = read.error().in(pages(page).name(page.id));
  }
  end_waiters(page, status);
}

std::string DiskRunner::place(DiskPage page) const {
  if (page.kind == schedule::Payload::kKv) return kv_->name(page.id);
  std::string text = pages(page).name(page.id);
  if (const auto at = pages(page).at(page.id)) {
    text += ", at offset " + std::to_string(at->offset) + " of '" +
            source_->files()[static_cast<size_t>(at->file)].string() + "'";
  }
  return text;
}

void DiskRunner::begin_work(Load& load, Work work) {
  load.work = work;
  times_.begin(schedule::Lane::kDisk, clock_.now(), work);
}

void DiskRunner::end_work(Load& load) {
  if (load.work) times_.end(schedule::Lane::kDisk, clock_.now(), *load.work);
  load.work.reset();
}

void DiskRunner::wake() {
  if (reader_ != nullptr) reader_->wake();
}

DiskStats DiskRunner::stats() const {
  GuessStats guesses = paging_ != nullptr ? paging_->guesses() : GuessStats{};
  guesses.pages = guess_pages_;
  // The time of guesses is their bytes': of those that were useless nobody had anything.
  const int64_t bytes = guess_bytes_;
  const double useful =
      bytes > 0 ? 1.0 - static_cast<double>(guesses.useless_bytes) / static_cast<double>(bytes) : 0;
  const auto lanes = times_.stats(clock_.now());
  guesses.useful_seconds =
      std::max(useful, 0.0) * lanes[static_cast<size_t>(schedule::Lane::kDisk)].guess_seconds;
  return {.pages = std::max<int64_t>(pages_ - guesses.useless_pages, 0),
          .bytes = std::max<int64_t>(bytes_ - guesses.useless_bytes, 0),
          .rows = rows_read_,
          .row_bytes = row_bytes_,
          .kv_read_bytes = kv_ != nullptr ? kv_->bytes_read() : 0,
          .kv_written_bytes = kv_ != nullptr ? kv_->bytes_written() : 0,
          .retries = retries_ + (kv_ != nullptr ? kv_->retries() : 0),
          .guesses = guesses};
}

}  // namespace sluice::engine
