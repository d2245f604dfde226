#include "engine/disk_kv.h"

#include <algorithm>
#include <functional>

#include "base/check.h"
#include "weights/checksum.h"

namespace sluice::engine {
namespace {

std::string text_of(int32_t block, int layer) {
  return "keys and values of block " + std::to_string(block) + " in layer " + std::to_string(layer);
}

}  // namespace

Result<std::unique_ptr<DiskKv>> DiskKv::create(StreamedKv& kv, const Options& options,
                                               const std::filesystem::path& directory) {
  const StreamedKv::Shape& shape = kv.shape();
  const int64_t bytes =
      (shape.blocks - shape.resident) * std::ssize(shape.layers) * kv.place_bytes();
  SLUICE_ASSIGN(const io::FileId file, options.reader->open_scratch(directory, bytes));
  SLUICE_TRY(options.reader->register_memory(kv.memory()));
  return std::unique_ptr<DiskKv>(new DiskKv(kv, options, file));
}

DiskKv::DiskKv(StreamedKv& kv, const Options& options, io::FileId file)
    : kv_(kv),
      reader_(*options.reader),
      times_(*options.times),
      clock_(*options.clock),
      timeout_(options.timeout),
      file_(file),
      home_blocks_(kv.shape().blocks - kv.shape().resident),
      first_(options.first_request),
      sums_(static_cast<size_t>(home_blocks_ * std::ssize(kv.shape().layers))),
      moves_(KvWindows::kCount),
      items_(KvWindows::kCount),
      failed_(static_cast<size_t>(kv.shape().micro_batches)) {
  for (std::vector<Item>& items : items_) items.reserve(static_cast<size_t>(kv.most_moved()));
}

int64_t DiskKv::most_requests(const StreamedKv& kv) { return KvWindows::kCount * kv.most_moved(); }

int64_t DiskKv::number_of(int32_t block, int layer) const {
  return layer * home_blocks_ + block - kv_.shape().resident;
}

// Of these blocks one that may not be read or written now: a write that nobody waits for may still
// come after whatever is done.
template <class Blocks, class Number>
std::optional<int32_t> DiskKv::late_block(int layer, const Blocks& blocks, Number number) const {
  const std::lock_guard lock(mutex_);
  if (late_.empty()) return std::nullopt;
  const auto found = std::ranges::find_if(
      blocks, [&](int32_t block) { return late_.contains({layer, block}); }, number);
  if (found == blocks.end()) return std::nullopt;
  return std::invoke(number, *found);
}

// What was given up may still end, and is waited for as long as it was itself.
Result<DiskKv::Start> DiskKv::wait_or(const std::string& what, const std::string& why) {
  const base::Clock::time_point now = clock_.now();
  if (!waits_until_) waits_until_ = now + timeout_;
  if (now < *waits_until_) return Start::kNoRoom;
  waits_until_.reset();
  return Error{ErrorCode::kTimeout, what + " for another " + std::to_string(timeout_.count()) +
                                        " ms (disk_timeout_ms)" + why + "; check the disk"};
}

Result<DiskKv::Start> DiskKv::wait_for_write(size_t flight, int32_t block, int layer) {
  Result<Start> waits = wait_or(text_of(block, layer) + " have been on their way to the disk", "");
  if (!waits.ok()) {
    const std::lock_guard lock(mutex_);
    fail_for(flight, block);
  }
  return waits;
}

Result<DiskKv::Start> DiskKv::arrive(size_t flight, int layer, bool planned, int part) {
  const std::span<const int32_t> blocks = kv_.arriving(flight, part);
  if (const auto late = late_block(layer, blocks, std::identity{}))
    return wait_for_write(flight, *late, layer);
  if (!kv_.windows().claim(flight, layer, part)) {
    if (kv_.windows().stalled() < KvWindows::kCount) {
      waits_until_.reset();
      return Start::kNoRoom;
    }
    return wait_or("reads or writes of keys and values have stalled",
                   ", and hold all memory for them");
  }
  waits_until_.reset();
  if (blocks.empty()) return Start::kDone;
  const uint32_t window =
      begin({.planned = planned, .flight = flight, .layer = layer, .part = part});
  int32_t entry = kv_.first_in_window();
  for (const int32_t block : blocks) {
    add(window, block, kv_.place_of(entry++, layer, static_cast<int>(window)));
  }
  return submit_all(window);
}

Result<DiskKv::Start> DiskKv::leave(size_t flight, int layer, bool planned, int part) {
  const std::span<const StreamedKv::Leaving> leaving = kv_.leaving(flight, part);
  if (const auto late = late_block(layer, leaving, &StreamedKv::Leaving::block))
    return wait_for_write(flight, *late, layer);
  waits_until_.reset();
  if (leaving.empty()) {
    kv_.windows().release(flight, layer, part);
    return Start::kDone;
  }
  const uint32_t window =
      begin({.writes = true, .planned = planned, .flight = flight, .layer = layer, .part = part});
  const auto bytes = static_cast<size_t>(kv_.place_bytes());
  for (const StreamedKv::Leaving& one : leaving) {
    add(window, one.block, kv_.place_of(one.entry, layer, static_cast<int>(window)));
    Item& item = items_[window].back();
    item.sum = weights::crc32c({item.place, bytes});
  }
  return submit_all(window);
}

// In the window that its part has.
uint32_t DiskKv::begin(const Move& move) {
  const uint32_t window = window_of(move.flight, move.layer, move.part);
  kv_.windows().begin_move(static_cast<int>(window));
  items_[window].clear();
  moves_[window] = move;
  if (move.planned) times_.begin(schedule::Lane::kDisk, clock_.now(), Work::kPlanned);
  return window;
}

void DiskKv::add(uint32_t window, int32_t block, std::byte* place) {
  items_[window].push_back({.block = block, .place = place});
}

DiskKv::Start DiskKv::submit_all(uint32_t window) {
  moves_[window].out = std::ssize(items_[window]);
  for (Item& item : items_[window]) {
    SLUICE_CHECK(submit(window, item), "a reader has room for all that windows move");
  }
  return Start::kStarted;
}

bool DiskKv::submit(uint32_t window, Item& item) {
  const Move& move = moves_[window];
  const int64_t bytes = kv_.place_bytes();
  const auto at = static_cast<uint64_t>(&item - items_[window].data());
  ++item.tries;
  item.out = true;
  return reader_
      .submit({.file = file_,
               .offset = number_of(item.block, move.layer) * bytes,
               .bytes = bytes,
               .memory = item.place,
               .user = first_ + window * static_cast<uint64_t>(kv_.most_moved()) + at,
               .writes = move.writes})
      .ok();
}

Status DiskKv::check(const Move& move, const Item& item) const {
  const auto bytes = static_cast<size_t>(kv_.place_bytes());
  const auto number = static_cast<size_t>(number_of(item.block, move.layer));
  if (weights::crc32c({item.place, bytes}) == sums_[number]) return {};
  return Error{ErrorCode::kCorrupt, "what was read is not what had been written; check the disk"};
}

std::optional<std::pair<uint32_t, Status>> DiskKv::finish(uint64_t user, const Status& status) {
  const auto most = static_cast<uint64_t>(kv_.most_moved());
  const auto window = static_cast<uint32_t>((user - first_) / most);
  Move& move = moves_[window];
  Item& item = items_[window][(user - first_) % most];
  item.out = false;
  const Status found = status.ok() && !move.writes && !move.given_up ? check(move, item) : status;
  if (!found.ok() && !move.given_up && item.tries < kDiskTries && submit(window, item)) {
    ++retries_;
    return std::nullopt;
  }
  note(move, item, found);
  if (--move.out > 0) return std::nullopt;
  return conclude(window);
}

void DiskKv::note(Move& move, const Item& item, const Status& status) {
  const std::lock_guard lock(mutex_);
  if (move.writes) late_.erase({move.layer, item.block});
  if (status.ok()) {
    (move.writes ? written_ : read_) += kv_.place_bytes();
    if (move.writes && !move.given_up)
      sums_[static_cast<size_t>(number_of(item.block, move.layer))] = item.sum;
    doubtful_.erase({item.block, move.layer});
    return;
  }
  doubtful_.insert({item.block, move.layer});
  if (move.given_up) return;
  if (!move.error) move.error = status.error().in(text_of(item.block, move.layer));
  fail_for(move.flight, item.block);
}

// Under the lock.
void DiskKv::fail_for(size_t flight, int32_t block) {
  if (!failed_[flight]) failed_[flight] = block;
}

std::optional<std::pair<uint32_t, Status>> DiskKv::conclude(uint32_t window) {
  Move& move = moves_[window];
  end_work(move);
  kv_.windows().end_move(static_cast<int>(window));
  if (move.given_up) return std::nullopt;
  // Of a failed one the window is given back with its iteration's end.
  if (move.error) return std::pair(window, Status(*move.error));
  if (move.writes) kv_.windows().release(move.flight, move.layer, move.part);
  return std::pair(window, Status());
}

void DiskKv::end_work(Move& move) {
  if (move.planned) times_.end(schedule::Lane::kDisk, clock_.now(), Work::kPlanned);
  move.planned = false;
}

void DiskKv::give_up(uint32_t window) {
  Move& move = moves_[window];
  move.given_up = true;
  end_work(move);
  const std::lock_guard lock(mutex_);
  for (const Item& item : items_[window]) {
    if (!item.out) continue;
    fail_for(move.flight, item.block);
    doubtful_.insert({item.block, move.layer});
    if (move.writes) late_.insert({move.layer, item.block});
  }
}

int DiskKv::outlived() const {
  return static_cast<int>(std::ranges::count_if(
      moves_, [](const Move& move) { return move.given_up && move.out > 0; }));
}

bool DiskKv::moving() const {
  return std::ranges::any_of(moves_, [](const Move& move) { return move.out > 0; });
}

std::string DiskKv::name(uint32_t window) const {
  return "keys and values of layer " + std::to_string(moves_[window].layer);
}

void DiskKv::begin_iteration(size_t flight) {
  const std::lock_guard lock(mutex_);
  failed_[flight].reset();
}

std::optional<int32_t> DiskKv::failed_block(size_t flight) const {
  const std::lock_guard lock(mutex_);
  return failed_[flight];
}

bool DiskKv::doubtful(int32_t block) const {
  const std::lock_guard lock(mutex_);
  const auto found = doubtful_.lower_bound({block, 0});
  return found != doubtful_.end() && found->first == block;
}

}  // namespace sluice::engine
