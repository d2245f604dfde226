#include "memory/weight_pages.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::memory {

int64_t reserved_slots(int64_t slots, int64_t moving) {
  return std::min(std::max<int64_t>(moving / 8, 1), slots - 1);
}
namespace {

constexpr int64_t kSlotAlignment = 4096;
// A page that is never chosen is still chosen once in so many iterations, for the arithmetic.
constexpr double kLeastProbability = 1e-6;

}  // namespace

Result<std::unique_ptr<WeightPages>> WeightPages::create(const WeightPagesShape& shape,
                                                         const ArenaOptions& options) {
  if (shape.layers < 1 || shape.pages_per_layer < 1 || shape.slots < 1 || shape.slot_bytes < 1 ||
      shape.slot_bytes % kSlotAlignment != 0 || shape.holders < 1) {
    return Error{ErrorCode::kInvalid,
                 "pages of weights need layers, pages, slots, slots of a multiple of 4096 bytes, "
                 "and a holder"};
  }
  SLUICE_ASSIGN(Arena arena, Arena::create(bytes(shape.slots, shape.slot_bytes), options));
  return std::unique_ptr<WeightPages>(new WeightPages(shape, std::move(arena)));
}

WeightPages::WeightPages(const WeightPagesShape& shape, Arena arena)
    : shape_(shape), arena_(std::move(arena)) {
  slots_ = arena_.allocate("weight pages", shape.slots * shape.slot_bytes, kSlotAlignment).data();
  const auto pages = static_cast<size_t>(shape.layers) * static_cast<size_t>(shape.pages_per_layer);
  pages_.resize(pages);
  held_.resize(pages * static_cast<size_t>(shape.holders));
  guessed_layer_.assign(static_cast<size_t>(shape.holders), kNoLayer);
  wrong_guesses_.assign(static_cast<size_t>(shape.layers), 0);
  probability_.assign(pages, 1.0);
  candidates_.reserve(pages);
  page_of_.resize(static_cast<size_t>(shape.slots));
  free_.reserve(static_cast<size_t>(shape.slots));
  for (int64_t slot = shape.slots; slot-- > 0;) free_.push_back(static_cast<int32_t>(slot));
  available_ = movable_ = shape.slots;
}

// A page of chance p is needed, on the average, in the (1/p)th iteration from now.
double WeightPages::wait(WeightPageId page, double chance, int layer) const {
  const int ahead = (layer_of(page) - layer + shape_.layers) % shape_.layers;
  const double iterations = 1.0 / std::max(chance, kLeastProbability) - 1.0;
  return ahead + iterations * shape_.layers;
}

double WeightPages::wait(WeightPageId page, int layer) const {
  const bool guessed = pages_[page].guesser != kNobody;
  return wait(page, guessed ? guess_chance() : probability_[page], layer);
}

void WeightPages::settle(const ExpertUse& use, int64_t rows, int64_t moving) {
  const std::lock_guard lock(mutex_);
  candidates_.clear();
  int64_t loading = 0;  // for nobody any more, and not ended
  for (int layer = 0; layer < shape_.layers; ++layer) {
    for (int i = 0; i < shape_.pages_per_layer; ++i) {
      const WeightPageId page = id(layer, i);
      probability_[page] = use.probability(layer, i, rows);
      SLUICE_CHECK(pages_[page].claims == 0, "pages settle while nobody holds one");
      loading += pages_[page].state == State::kLoading;
      pages_[page].kept = pages_[page].state == State::kResident;
      if (pages_[page].kept) candidates_.push_back(page);
    }
  }
  // Free slots can move.
  const auto resident = static_cast<int64_t>(candidates_.size());
  const int64_t free = shape_.slots - resident - loading;
  const int64_t give_up = std::clamp<int64_t>(moving - free, 0, resident);
  const auto middle = candidates_.begin() + static_cast<ptrdiff_t>(give_up);
  std::nth_element(candidates_.begin(), middle, candidates_.end(),
                   [&](WeightPageId a, WeightPageId b) {
                     const double wait_a = wait(a, 0), wait_b = wait(b, 0);
                     return wait_a != wait_b ? wait_a > wait_b : a > b;
                   });
  for (auto it = candidates_.begin(); it != middle; ++it) pages_[*it].kept = false;
  count_slots();
}

void WeightPages::count_slots() {
  available_ = static_cast<int64_t>(free_.size());
  movable_ = shape_.slots;
  for (const Page& p : pages_) {
    available_ += makes_room(p);
    movable_ -= p.kept;
  }
}

// Of the pages that would make room; there is one.
WeightPageId WeightPages::last_needed(int layer) const {
  WeightPageId victim = 0;
  double longest = -1;
  for (const WeightPageId page : page_of_) {
    if (!makes_room(pages_[page])) continue;
    const double page_wait = wait(page, layer);
    if (page_wait > longest || (page_wait == longest && page > victim)) {
      victim = page;
      longest = page_wait;
    }
  }
  SLUICE_CHECK(longest >= 0, "a slot is available");
  return victim;
}

// A free slot, or that of the page that is needed last. One of them is available.
int32_t WeightPages::take_slot(int layer) {
  if (!free_.empty()) {
    const int32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  const WeightPageId victim = last_needed(layer);
  Page& p = pages_[victim];
  if (p.guesser != kNobody) note_wrong(victim);
  const int32_t slot = p.slot;
  p = {};
  return slot;
}

WeightPages::Claim WeightPages::claim(WeightPageId page, int holder, bool ahead) {
  const std::lock_guard lock(mutex_);
  Page& p = pages_[page];
  SLUICE_CHECK(held(page, holder) == Held::kNot, "a holder claims a page once");
  if (!finds_room(p, ahead)) return Claim::kNoRoom;
  available_ -= takes_room(p);
  held(page, holder) = ahead ? Held::kAhead : Held::kNeeded;
  if (p.guesser != kNobody) {
    p.guesser = kNobody;
    ++counts_.guesses_right;
  }
  const State before = p.state;
  if (before == State::kAbsent) start_load(page);
  ++p.claims;
  if (ahead && p.claims_ahead++ == 0) pages_ahead_ += !p.kept;
  switch (before) {
    case State::kResident:
      ++counts_.hits;
      return Claim::kResident;
    case State::kLoading:
      return Claim::kLoading;
    case State::kAbsent:
      return Claim::kLoad;
  }
  base::check_failed("known state", "a State outside its enum", __FILE__, __LINE__);
}

void WeightPages::start_load(WeightPageId page) {
  Page& p = pages_[page];
  const int32_t slot = take_slot(layer_of(page));
  p = {.state = State::kLoading, .doubtful = p.doubtful, .slot = slot};
  page_of_[static_cast<size_t>(slot)] = page;
  ++counts_.loads;
}

void WeightPages::loaded(WeightPageId page) {
  const std::lock_guard lock(mutex_);
  Page& p = pages_[page];
  SLUICE_CHECK(p.state == State::kLoading, "a page is loaded once, after its claim");
  p.state = State::kResident;
  p.doubtful = false;
  // Who claimed it may have failed meanwhile.
  available_ += makes_room(p);
}

void WeightPages::failed(WeightPageId page) {
  const std::lock_guard lock(mutex_);
  Page& p = pages_[page];
  SLUICE_CHECK(p.state == State::kLoading, "a page fails to load once, after its claim");
  for (int holder = 0; holder < shape_.holders; ++holder) held(page, holder) = Held::kNot;
  pages_ahead_ -= p.claims_ahead > 0;
  free_.push_back(p.slot);
  ++available_;
  ++counts_.failed;
  p = {.doubtful = true};
}

void WeightPages::drop(WeightPageId page, int holder) {
  Page& p = pages_[page];
  if (held(page, holder) == Held::kAhead && --p.claims_ahead == 0) pages_ahead_ -= !p.kept;
  held(page, holder) = Held::kNot;
  --p.claims;
  available_ += makes_room(p);
}

void WeightPages::release(WeightPageId page, int holder) {
  const std::lock_guard lock(mutex_);
  SLUICE_CHECK(held(page, holder) != Held::kNot, "a page is released by whoever has claimed it");
  drop(page, holder);
}

void WeightPages::release_all(int holder) {
  const std::lock_guard lock(mutex_);
  for (WeightPageId page = 0; page < pages_.size(); ++page) {
    if (held(page, holder) != Held::kNot) drop(page, holder);
  }
  end_guesses(holder);
}

void WeightPages::doubt(WeightPageId page) {
  const std::lock_guard lock(mutex_);
  pages_[page].doubtful = true;
}

bool WeightPages::doubtful(WeightPageId page) const {
  const std::lock_guard lock(mutex_);
  return pages_[page].doubtful;
}

std::byte* WeightPages::at(WeightPageId page) const {
  const std::lock_guard lock(mutex_);
  const Page& p = pages_[page];
  SLUICE_CHECK(p.slot != kNoSlot, "an absent page has no place");
  return slots_ + p.slot * shape_.slot_bytes;
}

bool WeightPages::resident(WeightPageId page) const {
  const std::lock_guard lock(mutex_);
  return pages_[page].state == State::kResident;
}

int64_t WeightPages::resident_pages() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::count_if(pages_, [](const Page& p) { return p.state == State::kResident; });
}

bool WeightPages::has_room(WeightPageId page, bool ahead) const {
  const std::lock_guard lock(mutex_);
  return finds_room(pages_[page], ahead);
}

int64_t WeightPages::claimed_pages() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::count_if(pages_, [](const Page& p) { return p.claims > 0; });
}

void WeightPages::check_consistency() const {
  const std::lock_guard lock(mutex_);
  int64_t available = static_cast<int64_t>(free_.size()), placed = 0, pages_ahead = 0;
  for (WeightPageId page = 0; page < pages_.size(); ++page) {
    const Page& p = pages_[page];
    SLUICE_CHECK((p.slot == kNoSlot) == (p.state == State::kAbsent),
                 "a page has a slot while it is loading or resident");
    int32_t claims = 0, claims_ahead = 0;
    for (int holder = 0; holder < shape_.holders; ++holder) {
      claims += held(page, holder) != Held::kNot;
      claims_ahead += held(page, holder) == Held::kAhead;
    }
    SLUICE_CHECK(p.claims == claims && p.claims_ahead == claims_ahead &&
                     (p.state != State::kAbsent || claims == 0),
                 "a page's claims are its holders', and an absent page has none");
    pages_ahead += claims_ahead > 0 && !p.kept;
    if (p.slot == kNoSlot) continue;
    SLUICE_CHECK(page_of_[static_cast<size_t>(p.slot)] == page, "no two pages share a slot");
    ++placed;
    available += makes_room(p);
  }
  SLUICE_CHECK(placed + static_cast<int64_t>(free_.size()) == shape_.slots,
               "every slot is free or holds a page");
  SLUICE_CHECK(available == available_ && pages_ahead == pages_ahead_,
               "the slots that are available, and those held ahead of need, are counted right");
}

WeightPagesCounts WeightPages::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace sluice::memory
