// Keys and values where attention runs, when not all of them have room there, and which of them are
// there: some blocks of the cache stay, in every layer; the others come, one layer of one
// micro-batch at a time, or of a part of it, into one of two windows, and what is new goes home.
// Home is the host's cache where a device attends, a file where the host does (disk_kv.h). Parts
// are runs of sequences, as many as find room in a window together.
//
// A block of the cache is resident if its number is below `resident`. Of a home that takes whole
// blocks alone, as a disk does, a block that is being filled stays too, in every layer, as its
// sequence's tail, and goes home once, when it is full. (So a sequence must not fill one and begin
// another in one iteration: SchedulerLimits::one_block_begun.) The memory is one array of places,
// each of one layer's block: those of blocks that stay, layer by layer, then the windows. Blocks
// that several sequences of a part share come once.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/rounding.h"
#include "engine/kv_windows.h"
#include "memory/arena.h"
#include "memory/kv_block_use.h"
#include "memory/kv_blocks.h"
#include "memory/kv_cache.h"
#include "memory/streamed_kv_size.h"
#include "models/batch_view.h"
#include "plan/plan.h"
#include "schedule/builder.h"

namespace sluice::engine {

class StreamedKv {
 public:
  struct Shape {
    std::vector<kernels::KvLayout> layers;  // all of the same block_tokens
    int64_t blocks = 0;                     // of the whole cache
    int64_t resident = 0;
    int64_t tails = 0;  // sequences that may be at work; 0: home takes single tokens
    // Of a part, at most, that are not resident; no fewer than sequence_blocks, or all of them.
    int64_t window_blocks = 0;
    int64_t micro_batches = 0;
    int64_t sequences = 0, rows = 0;  // of one micro-batch's iteration, at most
    int64_t sequence_blocks = 0;      // of one sequence, at most
    int64_t alignment = memory::KvCache::kBlockAlignment;  // of places
  };
  // A full block that goes home, and where it lies, as place_of() has it.
  struct Leaving {
    int32_t block = 0;
    int32_t entry = 0;
  };

  // As the plan says.
  static Shape shape_of(const models::ModelConfig& config, const plan::Plan& plan);
  // kNoRoom when the system refuses the memory.
  static Result<std::unique_ptr<StreamedKv>> create(const Shape& shape,
                                                    const memory::ArenaOptions& options = {});

  const Shape& shape() const { return shape_; }
  // By layer, for ForwardContext.
  std::span<const kernels::KvLayerView> views() const { return views_; }
  const memory::Arena& arena() const { return arena_; }
  std::span<std::byte> memory() const { return {base_, static_cast<size_t>(bytes_)}; }
  int64_t place_bytes() const { return stride_; }
  // Blocks that a task moves, at most.
  int64_t most_moved() const { return std::max(shape_.window_blocks, most_leaving()); }

  // Before `flight`'s iteration is submitted: finds its blocks their places, and says what moves.
  // With tails, `owners` says which blocks are nobody's any more.
  schedule::KvMoves place(size_t flight, const models::BatchView& batch,
                          const memory::KvBlocks& owners);

  // Of all blocks of its sequences from a part's first on, one after the other: where each lies,
  // for place_of().
  std::span<const int32_t> entries(size_t flight, int part = 0) const {
    const Flight& f = flights_[flight];
    return std::span(f.entries).subspan(f.firsts[static_cast<size_t>(part)].entry);
  }
  // As the iteration attends: valid until its flight is placed again.
  std::span<const schedule::KvPart> parts(size_t flight) const { return flights_[flight].parts; }
  // Blocks that a part brings into its window, by their entry behind `kept`; with tails, those that
  // leave once it has attended over its layer.
  std::span<const int32_t> arriving(size_t flight, int part = 0) const;
  std::span<const Leaving> leaving(size_t flight, int part = 0) const;
  int32_t first_in_window() const { return static_cast<int32_t>(shape_.resident + shape_.tails); }
  std::byte* place_of(int32_t entry, int layer, int window) const;

  // Who moves claims one; who computes asks for the part's sequences with the places of their
  // blocks in that layer, valid until the next call for this flight.
  KvWindows& windows() { return windows_; }
  const KvWindows& windows() const { return windows_; }
  models::BatchView there(size_t flight, int layer, const models::BatchView& batch, int part = 0);

 private:
  // Where a part's begin in its flight's arrays.
  struct First {
    size_t entry = 0, arriving = 0, leaving = 0;
  };
  // Of a micro-batch. A block's entry is its number if it is resident, behind these its tail's, and
  // behind those its number within the window.
  struct Flight {
    std::vector<schedule::KvPart> parts;
    std::vector<First> firsts;      // [part]
    std::vector<int32_t> entries;   // by sequence, of its block table
    std::vector<int32_t> arriving;  // by part, in the order of their numbers within the window
    std::vector<Leaving> leaving;
    std::vector<int32_t> table;  // what there() gives
    std::vector<int64_t> slots;
    std::vector<models::SequenceRows> sequences;
  };

  struct Tail {
    int32_t block = -1;
    int64_t allocation = 0;  // of the block, as it was (KvBlocks::allocations)
  };

  StreamedKv(const Shape& shape, memory::Arena arena);
  int64_t step() const { return shape_.layers.front().block_tokens; }
  int64_t most_leaving() const {
    return memory::most_leaving_blocks(shape_.rows, shape_.sequences, step());
  }
  static int64_t end_of(const models::SequenceRows& s) { return s.first_position + s.rows; }
  memory::KvBlockUse use_of(const models::SequenceRows& s, int64_t block) const {
    return memory::kv_block_use(block, s.first_position, end_of(s), step(), shape_.tails > 0);
  }
  bool resident(int32_t block) const { return block < shape_.resident; }
  int64_t blocks_of(const models::SequenceRows& s) const { return base::div_up(end_of(s), step()); }
  int64_t most_parts() const {
    return memory::most_kv_parts(shape_.sequences, shape_.sequence_blocks, shape_.window_blocks);
  }
  int64_t streamed() const { return std::ssize(arriving_) + std::ssize(new_); }
  void keep_tails(const models::BatchView& batch, const memory::KvBlocks& owners);
  void add(const models::SequenceRows& s);
  void add_streamed(std::vector<int32_t>& list, int32_t block);
  void take_back(std::vector<int32_t>& list, size_t size);
  void end_part(Flight& flight, const models::BatchView& batch, int64_t first, int64_t end,
                schedule::KvMoves& moves);
  int32_t entry_of(int32_t block) const;
  void free_tail(int32_t block);
  void take_tail(int32_t block, const memory::KvBlocks& owners);

  const Shape shape_;
  memory::Arena arena_;
  std::byte* base_ = nullptr;
  int64_t bytes_ = 0, stride_ = 0;
  std::vector<kernels::KvLayerView> views_;
  std::vector<Flight> flights_;
  std::vector<int32_t> number_;  // by block: within the window of the part being placed, or -1
  std::vector<int32_t> arriving_, new_;  // of that part: blocks for its window
  std::vector<int32_t> tail_;            // by block: its tail, or -1
  std::vector<Tail> tails_;
  KvWindows windows_;
};

}  // namespace sluice::engine
