#include "engine/streamed_kv.h"

#include <algorithm>

#include "base/check.h"
#include "base/rounding.h"

namespace sluice::engine {

namespace {

int64_t bytes_of(const StreamedKv::Shape& shape) {
  return memory::streamed_kv_bytes(shape.layers, shape.alignment, shape.resident + shape.tails,
                                   shape.window_blocks);
}

}  // namespace

StreamedKv::Shape StreamedKv::shape_of(const models::ModelConfig& config, const plan::Plan& plan) {
  return {
      .layers = models::kv_layouts(config, static_cast<int>(plan.kv_block_tokens), plan.kv_dtype),
      .blocks = plan.kv_blocks,
      .resident = plan.resident_kv_blocks,
      .tails = plan.kv_tails,
      .window_blocks = plan.kv_window,
      .micro_batches = plan.micro_batches(),
      .sequences = plan.policy.micro_batch,
      .rows = plan.max_num_tokens,
      .sequence_blocks = base::div_up(plan.max_seq_len, plan.kv_block_tokens),
      .alignment = plan.kv_tails > 0 ? memory::kDiskKvAlignment : memory::KvCache::kBlockAlignment};
}

Result<std::unique_ptr<StreamedKv>> StreamedKv::create(const Shape& shape,
                                                       const memory::ArenaOptions& options) {
  SLUICE_CHECK(shape.resident == shape.blocks || shape.window_blocks > 0,
               "blocks that are not resident have a window");
  SLUICE_ASSIGN(memory::Arena arena, memory::Arena::create(bytes_of(shape), options));
  return std::unique_ptr<StreamedKv>(new StreamedKv(shape, std::move(arena)));
}

StreamedKv::StreamedKv(const Shape& shape, memory::Arena arena)
    : shape_(shape),
      arena_(std::move(arena)),
      bytes_(bytes_of(shape)),
      stride_(memory::kv_place_bytes(shape.layers, shape.alignment)) {
  base_ = arena_.allocate("streamed kv", bytes_, shape.alignment).data();
  for (const kernels::KvLayout& layout : shape.layers) views_.push_back({layout, base_, stride_});
  number_.assign(static_cast<size_t>(shape.blocks), -1);
  tail_.assign(static_cast<size_t>(shape.blocks), -1);
  tails_.resize(static_cast<size_t>(shape.tails));
  flights_.resize(static_cast<size_t>(shape.micro_batches));
  const auto table = static_cast<size_t>(shape.sequences * shape.sequence_blocks);
  for (Flight& flight : flights_) {
    flight.entries.reserve(table);
    flight.streamed.reserve(static_cast<size_t>(shape.window_blocks));
    if (shape.tails > 0) flight.leaving.reserve(static_cast<size_t>(most_leaving()));
    flight.table.reserve(table);
    flight.slots.reserve(static_cast<size_t>(shape.rows));
    flight.sequences.reserve(static_cast<size_t>(shape.sequences));
  }
}

void StreamedKv::add_streamed(Flight& flight, int32_t block) {
  int32_t& number = number_[static_cast<size_t>(block)];
  if (number >= 0) return;
  number = static_cast<int32_t>(flight.streamed.size());
  flight.streamed.push_back(block);
}

int32_t StreamedKv::entry_of(int32_t block) const {
  if (resident(block)) return block;
  const int32_t tail = tail_[static_cast<size_t>(block)];
  if (tail >= 0) return static_cast<int32_t>(shape_.resident) + tail;
  return first_in_window() + number_[static_cast<size_t>(block)];
}

void StreamedKv::free_tail(int32_t block) {
  int32_t& tail = tail_[static_cast<size_t>(block)];
  if (tail >= 0) tails_[static_cast<size_t>(tail)] = {};
  tail = -1;
}

// A tail is free for another block if nobody has its own any more, or somebody else has it now; or
// if all know it by its tokens: then it is full, and was taken home when it became so. Else it is
// the one of a sequence at work.
void StreamedKv::take_tail(int32_t block, const memory::KvBlocks& owners) {
  if (tail_[static_cast<size_t>(block)] >= 0) return;
  const auto found = std::ranges::find_if(tails_, [&](const Tail& tail) {
    return tail.block < 0 || owners.references(tail.block) == 0 || owners.published(tail.block) ||
           owners.allocations(tail.block) != tail.allocation;
  });
  SLUICE_CHECK(found != tails_.end(), "every sequence at work has room for its tail");
  if (found->block >= 0) free_tail(found->block);
  *found = {block, owners.allocations(block)};
  tail_[static_cast<size_t>(block)] = static_cast<int32_t>(found - tails_.begin());
}

// In the order of their numbers, which is that of their homes, so that neighbours come together.
void StreamedKv::add_arriving(Flight& flight, const models::BatchView& batch) {
  for (const models::SequenceRows& s : batch.sequences) {
    for (int64_t i = 0; use_of(s, i).arrives; ++i) {
      if (resident(s.blocks[i])) continue;
      free_tail(s.blocks[i]);
      add_streamed(flight, s.blocks[i]);
    }
  }
  std::ranges::sort(flight.streamed);
  flight.arriving = std::ssize(flight.streamed);
  for (size_t i = 0; i < flight.streamed.size(); ++i) {
    number_[static_cast<size_t>(flight.streamed[i])] = static_cast<int32_t>(i);
  }
}

// Blocks that get tokens in this iteration.
void StreamedKv::add_new(Flight& flight, const models::BatchView& batch,
                         const memory::KvBlocks& owners) {
  for (const models::SequenceRows& s : batch.sequences) {
    const int64_t all = base::div_up(s.first_position + s.rows, step());
    for (int64_t i = s.first_position / step(); i < all; ++i) {
      const int32_t block = s.blocks[i];
      if (resident(block)) continue;
      const memory::KvBlockUse use = use_of(s, i);
      const bool begun = i * step() < s.first_position;
      if (!begun) free_tail(block);  // that of its tokens of before
      if (use.stays) {
        SLUICE_CHECK(!begun || tail_[static_cast<size_t>(block)] >= 0,
                     "a block that is being filled has stayed");
        take_tail(block, owners);
      } else {
        add_streamed(flight, block);
      }
      if (use.leaves) flight.leaving.push_back({block, entry_of(block)});
    }
  }
}

schedule::KvMoves StreamedKv::most_moves() const {
  const int64_t leaving = shape_.tails > 0 ? most_leaving() : 0;
  return {.blocks = shape_.window_blocks + leaving,
          .arriving_blocks = shape_.window_blocks,
          .leaving_tokens = shape_.rows,
          .leaving_blocks = leaving};
}

schedule::KvMoves StreamedKv::place(size_t index, const models::BatchView& batch,
                                    const memory::KvBlocks& owners) {
  Flight& flight = flights_[index];
  flight.entries.clear();
  flight.streamed.clear();
  flight.leaving.clear();
  add_arriving(flight, batch);
  add_new(flight, batch, owners);
  SLUICE_CHECK(std::ssize(flight.streamed) <= shape_.window_blocks,
               "a window holds the blocks of any micro-batch");
  schedule::KvMoves moves{.blocks = std::ssize(flight.streamed),
                          .arriving_blocks = flight.arriving,
                          .leaving_blocks = std::ssize(flight.leaving)};
  for (const Leaving& one : flight.leaving) moves.blocks += one.entry < first_in_window();
  for (const models::SequenceRows& s : batch.sequences) {
    const int64_t all = base::div_up(s.first_position + s.rows, step());
    for (int64_t i = 0; i < all; ++i) flight.entries.push_back(entry_of(s.blocks[i]));
  }
  for (const int64_t slot : batch.kv_slots)
    moves.leaving_tokens += slot / step() >= shape_.resident;
  for (const int32_t block : flight.streamed) number_[static_cast<size_t>(block)] = -1;
  return moves;
}

std::span<const int32_t> StreamedKv::arriving(size_t flight) const {
  return std::span(flights_[flight].streamed).first(static_cast<size_t>(flights_[flight].arriving));
}

bool StreamedKv::claim(size_t flight, int layer) {
  const std::lock_guard lock(mutex_);
  for (Window& window : windows_) {
    if (window.used) continue;
    window = {.used = true, .flight = flight, .layer = layer};
    return true;
  }
  return false;
}

void StreamedKv::release(size_t flight, int layer) {
  const int window = window_of(flight, layer);
  SLUICE_CHECK(window >= 0, "a window is released once, after its claim");
  const std::lock_guard lock(mutex_);
  windows_[window] = {};
}

void StreamedKv::release_all(size_t flight) {
  const std::lock_guard lock(mutex_);
  for (Window& window : windows_) {
    if (!window.used || window.stalled || window.flight != flight) continue;
    if (window.moves) {
      window.stalled = true;
    } else {
      window = {};
    }
  }
}

void StreamedKv::begin_move(int window) {
  const std::lock_guard lock(mutex_);
  windows_[window].moves = true;
}

void StreamedKv::end_move(int window) {
  const std::lock_guard lock(mutex_);
  windows_[window].moves = false;
  if (windows_[window].stalled) windows_[window] = {};
}

int StreamedKv::used_windows() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count_if(
      windows_, [](const Window& window) { return window.used && !window.stalled; }));
}

int StreamedKv::stalled_windows() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count_if(windows_, &Window::stalled));
}

int StreamedKv::window_of(size_t flight, int layer) const {
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < kWindows; ++i) {
    const Window& window = windows_[i];
    if (window.used && !window.stalled && window.flight == flight && window.layer == layer) {
      return i;
    }
  }
  return -1;
}

std::byte* StreamedKv::place_of(int32_t entry, int layer, int window) const {
  const int64_t kept = first_in_window();
  int64_t place = layer * kept + entry;
  if (entry >= kept) {
    SLUICE_CHECK(window >= 0, "keys and values that are not resident have come");
    place = std::ssize(shape_.layers) * kept + window * shape_.window_blocks + entry - kept;
  }
  return base_ + place * stride_;
}

models::BatchView StreamedKv::there(size_t index, int layer, const models::BatchView& batch) {
  Flight& flight = flights_[index];
  const int window = window_of(index, layer);
  flight.table.clear();
  flight.slots.clear();
  flight.sequences.assign(batch.sequences.begin(), batch.sequences.end());
  for (const int32_t entry : flight.entries) {
    const int64_t place = (place_of(entry, layer, window) - base_) / stride_;
    flight.table.push_back(static_cast<int32_t>(place));
  }
  const int32_t* blocks = flight.table.data();
  for (models::SequenceRows& s : flight.sequences) {
    s.blocks = blocks;
    for (int64_t p = s.first_position; p < s.first_position + s.rows; ++p) {
      flight.slots.push_back(int64_t{blocks[p / step()]} * step() + p % step());
    }
    blocks += base::div_up(s.first_position + s.rows, step());
  }
  models::BatchView view = batch;
  view.sequences = flight.sequences;
  view.kv_slots = flight.slots;
  return view;
}

}  // namespace sluice::engine
