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
  const auto window = static_cast<size_t>(shape.window_blocks + shape.sequence_blocks);
  arriving_.reserve(window);
  new_.reserve(window);
  flights_.resize(static_cast<size_t>(shape.micro_batches));
  const auto table = static_cast<size_t>(shape.sequences * shape.sequence_blocks);
  for (Flight& flight : flights_) {
    const auto parts = static_cast<size_t>(most_parts());
    flight.parts.reserve(parts);
    flight.firsts.reserve(parts);
    flight.entries.reserve(table);
    flight.arriving.reserve(parts * static_cast<size_t>(shape.window_blocks));
    if (shape.tails > 0) flight.leaving.reserve(static_cast<size_t>(most_leaving()));
    flight.table.reserve(table);
    flight.slots.reserve(static_cast<size_t>(shape.rows));
    flight.sequences.reserve(static_cast<size_t>(shape.sequences));
  }
}

void StreamedKv::add_streamed(std::vector<int32_t>& list, int32_t block) {
  int32_t& number = number_[static_cast<size_t>(block)];
  if (number >= 0) return;
  number = 0;  // until the part is whole
  list.push_back(block);
}

void StreamedKv::take_back(std::vector<int32_t>& list, size_t size) {
  for (size_t i = size; i < list.size(); ++i) number_[static_cast<size_t>(list[i])] = -1;
  list.resize(size);
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

// Before anything has its place: blocks that are full need no tail any more, those that get their
// first tokens one of their own.
void StreamedKv::keep_tails(const models::BatchView& batch, const memory::KvBlocks& owners) {
  for (const models::SequenceRows& s : batch.sequences) {
    for (int64_t i = 0; use_of(s, i).arrives; ++i) free_tail(s.blocks[i]);
  }
  for (const models::SequenceRows& s : batch.sequences) {
    for (int64_t i = s.first_position / step(); i < blocks_of(s); ++i) {
      if (resident(s.blocks[i])) continue;
      const bool begun = i * step() < s.first_position;
      if (!begun) free_tail(s.blocks[i]);  // that of its tokens of before
      if (!use_of(s, i).stays) continue;
      SLUICE_CHECK(!begun || tail_[static_cast<size_t>(s.blocks[i])] >= 0,
                   "a block that is being filled has stayed");
      take_tail(s.blocks[i], owners);
    }
  }
}

// What a sequence needs of its part's window.
void StreamedKv::add(const models::SequenceRows& s) {
  for (int64_t i = 0; i < blocks_of(s); ++i) {
    if (resident(s.blocks[i])) continue;
    const memory::KvBlockUse use = use_of(s, i);
    if (!use.stays) add_streamed(use.arrives ? arriving_ : new_, s.blocks[i]);
  }
}

// Blocks come in the order of their numbers, which is that of their homes, so that neighbours come
// together.
void StreamedKv::end_part(Flight& flight, const models::BatchView& batch, int64_t first,
                          int64_t end, schedule::KvMoves& moves) {
  std::ranges::sort(arriving_);
  int32_t number = 0;
  for (const std::vector<int32_t>* list : {&arriving_, &new_}) {
    for (const int32_t block : *list) number_[static_cast<size_t>(block)] = number++;
  }
  SLUICE_CHECK(number <= shape_.window_blocks, "a window holds the blocks of any sequence");
  flight.firsts.push_back({flight.entries.size(), flight.arriving.size(), flight.leaving.size()});
  schedule::KvPart part = schedule::part_of(batch, first, end - first);
  part.kv = {.blocks = number, .arriving_blocks = std::ssize(arriving_)};
  for (const models::SequenceRows& s :
       batch.sequences.subspan(static_cast<size_t>(first), static_cast<size_t>(end - first))) {
    for (int64_t i = 0; i < blocks_of(s); ++i) {
      const int32_t entry = entry_of(s.blocks[i]);
      flight.entries.push_back(entry);
      if (resident(s.blocks[i])) continue;
      part.kv.leaving_tokens += memory::new_kv_tokens(i, s.first_position, end_of(s), step());
      if (!use_of(s, i).leaves) continue;
      flight.leaving.push_back({s.blocks[i], entry});
      ++part.kv.leaving_blocks;
      part.kv.blocks += entry < first_in_window();
    }
  }
  flight.arriving.insert(flight.arriving.end(), arriving_.begin(), arriving_.end());
  flight.parts.push_back(part);
  moves += part.kv;
  take_back(arriving_, 0);
  take_back(new_, 0);
}

schedule::KvMoves StreamedKv::place(size_t index, const models::BatchView& batch,
                                    const memory::KvBlocks& owners) {
  Flight& flight = flights_[index];
  flight.parts.clear();
  flight.firsts.clear();
  flight.entries.clear();
  flight.arriving.clear();
  flight.leaving.clear();
  keep_tails(batch, owners);
  schedule::KvMoves moves{.parts = 0};
  int64_t first = 0;
  for (int64_t i = 0; i < std::ssize(batch.sequences); ++i) {
    const models::SequenceRows& s = batch.sequences[static_cast<size_t>(i)];
    const size_t arriving = arriving_.size(), added = new_.size();
    add(s);
    if (i == first || streamed() <= shape_.window_blocks) continue;
    take_back(arriving_, arriving);
    take_back(new_, added);
    end_part(flight, batch, first, i, moves);
    first = i;
    add(s);
  }
  end_part(flight, batch, first, std::ssize(batch.sequences), moves);
  return moves;
}

std::span<const int32_t> StreamedKv::arriving(size_t flight, int part) const {
  const Flight& f = flights_[flight];
  const auto at = static_cast<size_t>(part);
  return std::span(f.arriving)
      .subspan(f.firsts[at].arriving, static_cast<size_t>(f.parts[at].kv.arriving_blocks));
}

std::span<const StreamedKv::Leaving> StreamedKv::leaving(size_t flight, int part) const {
  const Flight& f = flights_[flight];
  const auto at = static_cast<size_t>(part);
  return std::span(f.leaving).subspan(f.firsts[at].leaving,
                                      static_cast<size_t>(f.parts[at].kv.leaving_blocks));
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

models::BatchView StreamedKv::there(size_t index, int layer, const models::BatchView& batch,
                                    int part) {
  Flight& flight = flights_[index];
  const schedule::KvPart& of = flight.parts[static_cast<size_t>(part)];
  const int window = windows_.of(index, layer, part);
  const auto sequences =
      batch.sequences.subspan(static_cast<size_t>(of.first), static_cast<size_t>(of.sequences));
  flight.table.clear();
  flight.slots.clear();
  flight.sequences.assign(sequences.begin(), sequences.end());
  size_t entry = flight.firsts[static_cast<size_t>(part)].entry;
  for (models::SequenceRows& s : flight.sequences) {
    const auto first = static_cast<std::ptrdiff_t>(flight.table.size());
    for (int64_t i = 0; i < blocks_of(s); ++i) {
      const int64_t place = (place_of(flight.entries[entry++], layer, window) - base_) / stride_;
      flight.table.push_back(static_cast<int32_t>(place));
    }
    s.blocks = flight.table.data() + first;  // which was reserved
    for (int64_t p = s.first_position; p < s.first_position + s.rows; ++p) {
      flight.slots.push_back(int64_t{s.blocks[p / step()]} * step() + p % step());
    }
  }
  models::BatchView view = batch;
  view.sequences = flight.sequences;
  view.kv_slots = flight.slots;
  if (std::ssize(flight.parts) == 1) return view;
  const auto first = static_cast<size_t>(sequences.front().first_row);
  view.token_ids = batch.token_ids.subspan(first, static_cast<size_t>(of.rows));
  view.positions = batch.positions.subspan(first, static_cast<size_t>(of.rows));
  return view;
}

}  // namespace sluice::engine
