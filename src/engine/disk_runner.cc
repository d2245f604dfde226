#include "engine/disk_runner.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::engine {
namespace {

using Clock = base::Clock;

// A read that failed may succeed the next time; a page that is wrong twice is wrong on the disk.
constexpr int kTries = 3;

}  // namespace

DiskRunner::DiskRunner(ExpertPaging& paging, models::WeightSource& source, const Options& options)
    : paging_(paging),
      source_(source),
      clock_(*options.environment->clock),
      times_(*options.times),
      timeout_(options.timeout_ms),
      trace_(options.trace),
      busy_bytes_(options.guess_bytes) {
  loads_.resize(kCapacity + kMostGuesses);
  guesses_.reserve(kCapacity);
  waiters_.reserve(kCapacity);
  ended_.reserve(kCapacity);
  completions_.resize(loads_.size());
}

Result<std::unique_ptr<DiskRunner>> DiskRunner::create(ExpertPaging& paging,
                                                       models::WeightSource& source,
                                                       const Options& options) {
  std::unique_ptr<DiskRunner> runner(new DiskRunner(paging, source, options));
  if (source.files().empty()) return runner;
  SLUICE_ASSIGN(runner->reader_,
                io::Reader::create({.max_requests = kCapacity + kMostGuesses,
                                    .faults = options.faults,
                                    .make_queue = options.environment->make_device_queue,
                                    .clock = options.environment->clock}));
  for (const std::filesystem::path& file : source.files()) {
    SLUICE_ASSIGN(const io::FileId id, runner->reader_->open(file));
    runner->files_.push_back(id);
  }
  SLUICE_TRY(runner->reader_->register_memory(paging.pages().memory()));
  return runner;
}

int DiskRunner::capacity() const { return kCapacity; }

Result<pipeline::AsyncTaskRunner::Start> DiskRunner::start(const schedule::Task& task,
                                                           const pipeline::TaskContext& context,
                                                           uint64_t token) {
  const schedule::Transfer* read = task.transfer();
  SLUICE_CHECK(read != nullptr && read->payload == schedule::Payload::kWeights &&
                   read->to == schedule::Level::kHost && read->pages.count == 1,
               "the disk lane reads one page of weights at a time");
  if (read->urgency == schedule::Urgency::kGuess) {
    take_guess(task, context);
    return Start::kDone;
  }
  const memory::WeightPageId page = read->pages.first;
  switch (paging_.pages().claim(page, static_cast<int>(context.user),
                                read->urgency == schedule::Urgency::kAhead)) {
    case memory::WeightPages::Claim::kResident:
      return Start::kDone;
    case memory::WeightPages::Claim::kLoading:
      want(page);
      wait_for(page, token);
      return Start::kStarted;
    case memory::WeightPages::Claim::kNoRoom:
      guesses_.clear();  // whatever room there will be is for what is needed
      return Start::kNoRoom;
    case memory::WeightPages::Claim::kLoad:
      return load(page, token);
  }
  base::check_failed("known claim", "a Claim outside its enum", __FILE__, __LINE__);
}

Result<pipeline::AsyncTaskRunner::Start> DiskRunner::load(memory::WeightPageId page,
                                                          uint64_t token) {
  if (reader_ == nullptr) {
    times_.begin(schedule::Lane::kDisk, clock_.now());
    const Status made = make(page);
    times_.end(schedule::Lane::kDisk, clock_.now());
    if (!made.ok()) return made.error();
    return Start::kDone;
  }
  Load* const free = free_load();
  if (free == nullptr) {
    paging_.pages().failed(page);
    return Error{ErrorCode::kTimeout, "all " + std::to_string(kCapacity) +
                                          " reads that may be under way have stalled, the first " +
                                          "of " + place(loads_.front().page) + "; check the disk"};
  }
  *free = {.page = page, .used = true, .needed = true};
  if (const Status status = submit(static_cast<size_t>(free - loads_.data())); !status.ok()) {
    free->used = false;
    paging_.pages().failed(page);
    return status.error();
  }
  wait_for(page, token);
  begin_work(*free, Work::kPlanned);
  return Start::kStarted;
}

DiskRunner::Load* DiskRunner::free_load() {
  const auto free = std::ranges::find_if(loads_, [](const Load& load) { return !load.used; });
  return free == loads_.end() ? nullptr : &*free;
}

// On this thread, from the checkpoint's tensors.
Status DiskRunner::make(memory::WeightPageId page) {
  const int layer = paging_.layer_of(page), expert = paging_.expert_of(page);
  const Status status = source_.read_page(layer, expert, paging_.pages().at(page), nullptr);
  if (!status.ok()) {
    paging_.pages().failed(page);
    return status;
  }
  ++pages_;
  bytes_ += paging_.page_of_layer(layer).bytes;
  paging_.bind(page);
  paging_.pages().loaded(page);
  return {};
}

Status DiskRunner::submit(size_t load) {
  const memory::WeightPageId page = loads_[load].page;
  const auto at = source_.page_at(paging_.layer_of(page), paging_.expert_of(page));
  SLUICE_CHECK(at.has_value(), "a source with files says where its pages lie");
  ++loads_[load].tries;
  return reader_->submit({.file = files_[static_cast<size_t>(at->file)],
                          .offset = at->offset,
                          .bytes = at->bytes,
                          .into = paging_.pages().at(page),
                          .user = load});
}

size_t DiskRunner::poll(std::span<Ended> ended, int64_t timeout_ms) {
  if (ended_.empty() && reader_ != nullptr) {
    const size_t count = reader_->wait(completions_, poll_ms(timeout_ms));
    for (size_t i = 0; i < count; ++i) {
      finish(static_cast<size_t>(completions_[i].user), completions_[i].status);
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
  const memory::WeightPageId page = load.page;
  const int layer = paging_.layer_of(page), expert = paging_.expert_of(page);
  Status status = read;
  if (status.ok()) {
    status = models::check_page(
        source_, layer, expert,
        {paging_.pages().at(page), static_cast<size_t>(paging_.page_of_layer(layer).bytes)});
  }
  end_work(load);
  const int tries = load.needed ? kTries : 1;
  if (!status.ok() && load.tries < tries && submit(index).ok()) {
    ++retries_;
    return;
  }
  load.used = false;
  if (!load.needed) --guessing_;
  if (load.guess) end_guess(load, status);
  if (status.ok()) {
    ++pages_;
    bytes_ += paging_.page_of_layer(layer).bytes;
    paging_.bind(page);
    paging_.pages().loaded(page);
  } else {
    paging_.pages().failed(page);
    if (!read.ok()) {
      status = read.error().in("expert " + std::to_string(expert) + " of layer " +
                               std::to_string(layer));
    }
  }
  end_waiters(page, status);
}

std::string DiskRunner::place(memory::WeightPageId page) const {
  const int layer = paging_.layer_of(page), expert = paging_.expert_of(page);
  std::string text = "expert " + std::to_string(expert) + " of layer " + std::to_string(layer);
  if (const auto at = source_.page_at(layer, expert)) {
    text += ", at offset " + std::to_string(at->offset) + " of '" +
            source_.files()[static_cast<size_t>(at->file)].string() + "'";
  }
  return text;
}

int DiskRunner::outlived() const {
  return static_cast<int>(std::ranges::count_if(loads_, [&](const Load& load) {
    return load.used && std::ranges::none_of(waiters_, [&](const Waiter& waiter) {
             return waiter.page == load.page;
           });
  }));
}

void DiskRunner::wait_for(memory::WeightPageId page, uint64_t token) {
  waiters_.push_back({page, token, clock_.now() + timeout_});
}

// Until the first waiter's patience ends, if that is sooner.
int64_t DiskRunner::poll_ms(int64_t timeout_ms) const {
  const Clock::time_point now = clock_.now();
  for (const Waiter& waiter : waiters_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(waiter.until - now).count();
    timeout_ms = std::clamp<int64_t>(left, 0, timeout_ms);
  }
  return timeout_ms;
}

void DiskRunner::end_overdue() {
  const Clock::time_point now = clock_.now();
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.until > now) return false;
    paging_.pages().doubt(waiter.page);
    for (Load& load : loads_) {
      if (load.used && load.page == waiter.page) end_work(load);
    }
    ended_.push_back(
        {waiter.token, Error{ErrorCode::kTimeout, place(waiter.page) + ", has not come within " +
                                                      std::to_string(timeout_.count()) +
                                                      " ms (disk_timeout_ms); check the disk"}});
    return true;
  });
}

void DiskRunner::end_waiters(memory::WeightPageId page, const Status& status) {
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.page != page) return false;
    ended_.push_back({waiter.token, status});
    return true;
  });
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
  GuessStats guesses = paging_.guesses();
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
          .retries = retries_,
          .guesses = guesses};
}

}  // namespace sluice::engine
