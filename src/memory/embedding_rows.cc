#include "memory/embedding_rows.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/rounding.h"

namespace sluice::memory {
namespace {

constexpr int64_t kAlignment = 4096;

int64_t value_bytes(const EmbeddingRowsShape& shape) {
  return base::round_up(shape.rows * shape.hidden * static_cast<int64_t>(sizeof(float)),
                        kAlignment);
}

int64_t index_bytes(const EmbeddingRowsShape& shape) {
  return base::round_up(shape.vocab * static_cast<int64_t>(sizeof(int32_t)), kAlignment);
}

int64_t buffer_bytes(const EmbeddingRowsShape& shape) { return kRowReads * shape.read_bytes; }

}  // namespace

int64_t EmbeddingRows::bytes(const EmbeddingRowsShape& shape) {
  return buffer_bytes(shape) + value_bytes(shape) + index_bytes(shape);
}

Result<std::unique_ptr<EmbeddingRows>> EmbeddingRows::create(const EmbeddingRowsShape& shape,
                                                             const ArenaOptions& options) {
  SLUICE_CHECK(shape.rows >= std::min(shape.vocab, shape.holders * shape.holder_rows),
               "every holder finds room for its rows");
  SLUICE_ASSIGN(Arena arena, Arena::create(bytes(shape), options));
  return std::unique_ptr<EmbeddingRows>(new EmbeddingRows(shape, std::move(arena)));
}

EmbeddingRows::EmbeddingRows(const EmbeddingRowsShape& shape, Arena arena)
    : shape_(shape), arena_(std::move(arena)) {
  buffers_ = arena_.allocate("reads of embedding rows", buffer_bytes(shape), kAlignment);
  values_ = reinterpret_cast<float*>(
      arena_.allocate("embedding rows", value_bytes(shape), kAlignment).data());
  auto* const index = reinterpret_cast<int32_t*>(
      arena_.allocate("places of embedding rows", index_bytes(shape), kAlignment).data());
  place_of_ = {index, static_cast<size_t>(shape.vocab)};
  std::ranges::fill(place_of_, kNowhere);
  places_.resize(static_cast<size_t>(shape.rows) + 1);
  places_.back().before = places_.back().after = list_end();
  for (int32_t place = 0; place < list_end(); ++place) insert_before(place, list_end());
  holders_.resize(static_cast<size_t>(shape.holders));
  for (Holder& holder : holders_) {
    holder.places.reserve(static_cast<size_t>(shape.holder_rows));
    holder.missing.reserve(static_cast<size_t>(shape.holder_rows));
  }
  doubtful_.resize(static_cast<size_t>(shape.vocab));
}

std::span<const uint32_t> EmbeddingRows::claim(int holder, std::span<const int32_t> tokens) {
  const std::lock_guard lock(mutex_);
  Holder& mine = holders_[static_cast<size_t>(holder)];
  SLUICE_CHECK(mine.places.empty(), "a holder claims once until it releases");
  mine.missing.clear();
  ++claim_;
  for (const int32_t token : tokens) {
    const auto row = static_cast<uint32_t>(token);
    int32_t at = place_of_[row];
    if (at == kNowhere) at = take_place(row);
    Place& place = places_[static_cast<size_t>(at)];
    if (place.claim == claim_) continue;
    place.claim = claim_;
    if (place.claims++ == 0) remove(at);
    mine.places.push_back(at);
    if (!place.loaded) mine.missing.push_back(row);
  }
  return mine.missing;
}

// The place stays in the list until it is claimed.
int32_t EmbeddingRows::take_place(uint32_t row) {
  const int32_t at = places_.back().after;
  SLUICE_CHECK(at != list_end(), "every holder finds room for its rows");
  Place& place = places_[static_cast<size_t>(at)];
  if (place.row >= 0) place_of_[static_cast<size_t>(place.row)] = kNowhere;
  place.row = row;
  place.loaded = false;
  place_of_[row] = at;
  return at;
}

// One whose row never came is the next to be given away.
void EmbeddingRows::release(int holder) {
  const std::lock_guard lock(mutex_);
  Holder& mine = holders_[static_cast<size_t>(holder)];
  for (const int32_t at : mine.places) {
    const Place& place = places_[static_cast<size_t>(at)];
    if (--places_[static_cast<size_t>(at)].claims > 0) continue;
    insert_before(at, place.loaded ? list_end() : places_.back().after);
  }
  mine.places.clear();
}

void EmbeddingRows::insert_before(int32_t place, int32_t next) {
  Place& after = places_[static_cast<size_t>(next)];
  places_[static_cast<size_t>(place)].before = after.before;
  places_[static_cast<size_t>(place)].after = next;
  places_[static_cast<size_t>(after.before)].after = place;
  after.before = place;
}

void EmbeddingRows::remove(int32_t place) {
  const Place& gone = places_[static_cast<size_t>(place)];
  places_[static_cast<size_t>(gone.before)].after = gone.after;
  places_[static_cast<size_t>(gone.after)].before = gone.before;
}

const float* EmbeddingRows::at(int32_t token) const {
  const std::lock_guard lock(mutex_);
  const int32_t at = place_of_[static_cast<size_t>(token)];
  SLUICE_CHECK(at != kNowhere, "a row that is claimed");
  const Place& place = places_[static_cast<size_t>(at)];
  SLUICE_CHECK(place.claims > 0 && place.loaded, "a row that is claimed and has come");
  return values(at);
}

bool EmbeddingRows::loaded(uint32_t row) const {
  const std::lock_guard lock(mutex_);
  const int32_t at = place_of_[row];
  return at != kNowhere && places_[static_cast<size_t>(at)].loaded;
}

void EmbeddingRows::load(uint32_t row, const float* values_of_row) {
  const std::lock_guard lock(mutex_);
  doubtful_[row] = false;
  const int32_t at = place_of_[row];
  if (at == kNowhere || places_[static_cast<size_t>(at)].loaded) return;
  std::memcpy(values(at), values_of_row, static_cast<size_t>(shape_.hidden) * sizeof(float));
  places_[static_cast<size_t>(at)].loaded = true;
}

void EmbeddingRows::doubt(uint32_t row) {
  const std::lock_guard lock(mutex_);
  doubtful_[row] = true;
}

bool EmbeddingRows::doubtful(uint32_t row) const {
  const std::lock_guard lock(mutex_);
  return doubtful_[row];
}

int64_t EmbeddingRows::claimed() const {
  const std::lock_guard lock(mutex_);
  int64_t claimed = 0;
  for (const Holder& holder : holders_) claimed += std::ssize(holder.places);
  return claimed;
}

void EmbeddingRows::check_consistency() const {
  const std::lock_guard lock(mutex_);
  std::vector<int32_t> claims(static_cast<size_t>(shape_.rows));
  for (const Holder& holder : holders_) {
    for (const int32_t at : holder.places) ++claims[static_cast<size_t>(at)];
  }
  int64_t free = 0, unclaimed = 0;
  for (int32_t at = 0; at < list_end(); ++at) {
    const Place& place = places_[static_cast<size_t>(at)];
    SLUICE_CHECK(place.claims == claims[static_cast<size_t>(at)], "claims have holders");
    SLUICE_CHECK(place.row < 0 || place_of_[static_cast<size_t>(place.row)] == at,
                 "a row lies where it is found");
    SLUICE_CHECK(place.row >= 0 || (place.claims == 0 && !place.loaded), "claims are of rows");
    unclaimed += place.claims == 0;
  }
  for (int32_t at = places_.back().after; at != list_end();
       at = places_[static_cast<size_t>(at)].after) {
    SLUICE_CHECK(places_[static_cast<size_t>(at)].claims == 0, "what is claimed stays");
    ++free;
  }
  SLUICE_CHECK(free == unclaimed, "what nobody claims makes room");
}

}  // namespace sluice::memory
