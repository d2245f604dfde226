// Pages of weights that come and go: which of them lie in memory, in which slot, and which make
// room for others. A page is one expert of one layer. Slots are of one size, in one arena, so a
// page is read from the disk to the place where the kernels read it.
//
// A page is absent, loading or resident. A resident one may be kept: it stays until the next
// settle(), whoever asks for what, and is used without asking. Any other is claimed before it is
// used, and released after; unclaimed, it makes room for a page that is needed sooner. A claim has
// a holder, so that what an iteration that fails has claimed can be taken from it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/error.h"
#include "memory/arena.h"
#include "memory/expert_use.h"

namespace sluice::memory {

using WeightPageId = uint32_t;  // layer * pages_per_layer + page

struct WeightPagesShape {
  int layers = 0;
  int pages_per_layer = 0;
  int64_t slot_bytes = 0;  // of the largest page; a multiple of 4096
  int64_t slots = 0;
  int64_t reserved = 0;  // slots that claims ahead of need leave to the others
  int holders = 1;       // who may hold claims, by number: iterations in flight
};

// Slots that pages moved ahead leave to those that a router has asked for, of `slots`, `moving` of
// which make room for others.
int64_t reserved_slots(int64_t slots, int64_t moving);

// What went through, for reports.
struct WeightPagesCounts {
  int64_t hits = 0;    // claims of pages that were there
  int64_t loads = 0;   // pages read
  int64_t failed = 0;  // of these, not well
  // Of the reads for guesses: those of pages that the router chose, or somebody else; and those in
  // vain. Of some the router never spoke, since its iteration or the read failed.
  int64_t guesses_right = 0, guesses_wrong = 0;
};

class WeightPages {
 public:
  // Reserves the slots. kNoRoom when the system refuses the memory; kInvalid without a slot.
  static Result<std::unique_ptr<WeightPages>> create(const WeightPagesShape& shape,
                                                     const ArenaOptions& options = {});

  WeightPageId id(int layer, int page) const {
    return static_cast<WeightPageId>(layer * shape_.pages_per_layer + page);
  }
  const WeightPagesShape& shape() const { return shape_; }
  // Of all slots: aligned to 4096 bytes.
  std::span<std::byte> memory() const {
    return {slots_, static_cast<size_t>(shape_.slots * shape_.slot_bytes)};
  }
  // What create() reserves.
  static int64_t bytes(int64_t slots, int64_t slot_bytes) { return slots * slot_bytes + 4096; }

  // While nobody holds a claim: chooses which resident pages are kept until the next call, all but
  // the `moving` ones that are needed last by an iteration of `rows` tokens, which begins at layer
  // 0. kept() may then be read without a lock.
  void settle(const ExpertUse& use, int64_t rows, int64_t moving);
  bool kept(WeightPageId page) const { return pages_[page].kept; }

  // From any thread.
  enum class Claim : uint8_t {
    kResident,  // it is there, and stays until it is released
    kLoading,   // somebody reads it already; it will stay until it is released
    kLoad,      // the caller reads it into its place, and says loaded() or failed()
    kNoRoom,    // every slot is kept or claimed: nothing was changed
  };
  // A holder claims a page once until it releases it. `ahead`: this holder does not need it yet.
  // Such claims leave `reserved` slots to those that are needed now; else pages of later layers
  // could take every slot, while an earlier one waits for the last page. They do so whoever else
  // holds their pages, who may let go of them first.
  Claim claim(WeightPageId page, int holder, bool ahead = false);
  void loaded(WeightPageId page);
  // Nobody holds it any more, its claims are gone; it is in doubt.
  void failed(WeightPageId page);
  void release(WeightPageId page, int holder);
  // All that this holder has claimed and not released. A page that is still loading stays so: its
  // slot is nobody else's until loaded() or failed().
  void release_all(int holder);

  // Guesses: pages that a router may ask for next. A holder has guesses of one layer at a time,
  // from open_guesses() until its router has spoken, or release_all().
  void open_guesses(int holder, int layer);
  // As claim(), but nobody holds the page: at kLoad the caller reads it, and that is all. kNoRoom
  // too if the guesses of this layer are over, the page is in doubt, or every page that would make
  // room is expected to be needed sooner than a guess is. The slot of one that has come is
  // anybody's who needs it, but until the guess is over not sooner than the page's chance of being
  // needed says.
  Claim guess(WeightPageId page, int holder);
  // `expert_tokens` [pages_per_layer], of the router of this layer.
  void close_guesses(int holder, int layer, std::span<const int32_t> expert_tokens);
  // Pages of the layer that were read for guesses, in vain.
  int64_t wrong_guesses(int layer) const;

  // It could not be read the last time it was tried, or not in time. Such a page is not moved
  // ahead, so that only who needs it meets its fault. Until it is loaded.
  void doubt(WeightPageId page);
  bool doubtful(WeightPageId page) const;

  // [slot_bytes], of a page that is loading or resident, while it is kept or claimed.
  std::byte* at(WeightPageId page) const;
  bool resident(WeightPageId page) const;
  int64_t resident_pages() const;
  WeightPagesCounts counts() const;
  // Whether claim() would not say kNoRoom now.
  bool has_room(WeightPageId page, bool ahead) const;
  int64_t claimed_pages() const;
  // Aborts unless pages, slots and counts agree. Walks everything: for tests and simulators.
  void check_consistency() const;

 private:
  enum class State : uint8_t { kAbsent, kLoading, kResident };
  static constexpr int32_t kNoSlot = -1;
  static constexpr int16_t kNobody = -1;
  static constexpr int kNoLayer = -1;
  struct Page {
    State state = State::kAbsent;
    bool kept = false;
    bool doubtful = false;
    int16_t guesser = kNobody;  // a holder, whose guess has brought it and is not over
    int32_t claims = 0;
    int32_t claims_ahead = 0;  // of these
    int32_t slot = kNoSlot;
  };
  enum class Held : uint8_t { kNot, kNeeded, kAhead };

  WeightPages(const WeightPagesShape& shape, Arena arena);
  int layer_of(WeightPageId page) const { return static_cast<int>(page) / shape_.pages_per_layer; }
  // Layers to go by until a page of this chance, or this page, is needed, as expected at `layer`.
  double wait(WeightPageId page, double chance, int layer) const;
  double wait(WeightPageId page, int layer) const;
  bool makes_room(const Page& page) const {
    return page.state == State::kResident && !page.kept && page.claims == 0;
  }
  bool takes_room(const Page& page) const {
    return page.state == State::kAbsent || makes_room(page);
  }
  bool finds_room(const Page& page, bool ahead) const {
    if (takes_room(page) && available_ <= (ahead ? shape_.reserved : 0)) return false;
    return !ahead || page.kept || page.claims_ahead > 0 ||
           pages_ahead_ < movable_ - shape_.reserved;
  }
  void count_slots();
  WeightPageId last_needed(int layer) const;
  int32_t take_slot(int layer);
  void start_load(WeightPageId page);
  double guess_chance() const;
  void note_wrong(WeightPageId page);
  void end_guesses(int holder);
  // How `holder` holds the page.
  Held& held(WeightPageId page, int holder) {
    return held_[static_cast<size_t>(holder) * pages_.size() + page];
  }
  Held held(WeightPageId page, int holder) const {
    return held_[static_cast<size_t>(holder) * pages_.size() + page];
  }
  void drop(WeightPageId page, int holder);

  WeightPagesShape shape_;
  Arena arena_;
  std::byte* slots_ = nullptr;
  mutable std::mutex mutex_;
  std::vector<Page> pages_;
  std::vector<Held> held_;                // [holder * pages + page]
  std::vector<WeightPageId> page_of_;     // [slot]
  std::vector<int32_t> free_;             // slots
  int64_t available_ = 0;                 // slots that are free or would make room
  int64_t movable_ = 0;                   // slots without the kept pages'
  int64_t pages_ahead_ = 0;               // not kept, that somebody has claimed ahead
  std::vector<double> probability_;       // [page]: that an iteration needs it; from settle()
  std::vector<WeightPageId> candidates_;  // settle()'s
  std::vector<int> guessed_layer_;        // [holder]
  std::vector<int64_t> wrong_guesses_;    // [layer]
  WeightPagesCounts counts_;
};

}  // namespace sluice::memory
