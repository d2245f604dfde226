#include "engine/device_kv.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/rounding.h"
#include "kernels/kv_copy.h"

namespace sluice::engine {

namespace {

int64_t bytes_of(const DeviceKv::Shape& shape) {
  return memory::device_kv_bytes(shape.layers, shape.resident, shape.window_blocks);
}

}  // namespace

Result<std::unique_ptr<DeviceKv>> DeviceKv::create(const Shape& shape,
                                                   const memory::KvCache* home) {
  SLUICE_CHECK(shape.resident == shape.blocks || (home != nullptr && shape.window_blocks > 0),
               "blocks that are not resident have a home and a window");
  SLUICE_ASSIGN(memory::Arena arena, memory::Arena::create(bytes_of(shape)));
  return std::unique_ptr<DeviceKv>(new DeviceKv(shape, home, std::move(arena)));
}

DeviceKv::DeviceKv(const Shape& shape, const memory::KvCache* home, memory::Arena arena)
    : shape_(shape),
      home_(home),
      arena_(std::move(arena)),
      stride_(memory::device_kv_place_bytes(shape.layers)) {
  base_ = arena_.allocate("device kv", bytes_of(shape), memory::KvCache::kBlockAlignment).data();
  for (const kernels::KvLayout& layout : shape.layers) views_.push_back({layout, base_, stride_});
  number_.assign(static_cast<size_t>(shape.blocks), -1);
  flights_.resize(static_cast<size_t>(shape.micro_batches));
  const auto table = static_cast<size_t>(shape.sequences * shape.sequence_blocks);
  for (Flight& flight : flights_) {
    flight.entries.reserve(table);
    flight.streamed.reserve(static_cast<size_t>(shape.window_blocks));
    flight.table.reserve(table);
    flight.slots.reserve(static_cast<size_t>(shape.rows));
    flight.sequences.reserve(static_cast<size_t>(shape.sequences));
  }
}

// Blocks with tokens of earlier iterations, or all others: numbers within the window.
void DeviceKv::add_blocks(Flight& flight, const models::BatchView& batch, bool arriving) {
  const int64_t step = shape_.layers.front().block_tokens;
  for (const models::SequenceRows& s : batch.sequences) {
    const int64_t old = base::div_up(s.first_position, step);
    const int64_t all = base::div_up(s.first_position + s.rows, step);
    for (int64_t i = arriving ? 0 : old; i < (arriving ? old : all); ++i) {
      const int32_t block = s.blocks[i];
      int32_t& number = number_[static_cast<size_t>(block)];
      if (block < shape_.resident || number >= 0) continue;
      number = static_cast<int32_t>(flight.streamed.size());
      flight.streamed.push_back(block);
    }
  }
}

schedule::KvMoves DeviceKv::place(size_t index, const models::BatchView& batch) {
  Flight& flight = flights_[index];
  flight.entries.clear();
  flight.streamed.clear();
  add_blocks(flight, batch, true);
  flight.arriving = std::ssize(flight.streamed);
  add_blocks(flight, batch, false);
  SLUICE_CHECK(std::ssize(flight.streamed) <= shape_.window_blocks,
               "a window holds the blocks of any micro-batch");
  const int64_t step = shape_.layers.front().block_tokens;
  schedule::KvMoves moves{.blocks = std::ssize(flight.streamed),
                          .arriving_blocks = flight.arriving};
  for (const models::SequenceRows& s : batch.sequences) {
    const int64_t all = base::div_up(s.first_position + s.rows, step);
    for (int64_t i = 0; i < all; ++i) {
      const int32_t block = s.blocks[i];
      const bool stays = block < shape_.resident;
      flight.entries.push_back(stays ? block
                                     : static_cast<int32_t>(shape_.resident) +
                                           number_[static_cast<size_t>(block)]);
    }
  }
  for (const int64_t slot : batch.kv_slots) moves.leaving_tokens += slot / step >= shape_.resident;
  for (const int32_t block : flight.streamed) number_[static_cast<size_t>(block)] = -1;
  return moves;
}

bool DeviceKv::claim(size_t flight, int layer) {
  const std::lock_guard lock(mutex_);
  for (Window& window : windows_) {
    if (window.used) continue;
    window = {.used = true, .flight = flight, .layer = layer};
    return true;
  }
  return false;
}

void DeviceKv::release(size_t flight, int layer) {
  const int window = window_of(flight, layer);
  SLUICE_CHECK(window >= 0, "a window is released once, after its claim");
  const std::lock_guard lock(mutex_);
  windows_[window] = {};
}

void DeviceKv::release_all(size_t flight) {
  const std::lock_guard lock(mutex_);
  for (Window& window : windows_) {
    if (window.used && window.flight == flight) window = {};
  }
}

int DeviceKv::used_windows() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count_if(windows_, &Window::used));
}

int DeviceKv::window_of(size_t flight, int layer) {
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < kWindows; ++i) {
    const Window& window = windows_[i];
    if (window.used && window.flight == flight && window.layer == layer) return i;
  }
  return -1;
}

int64_t DeviceKv::place_of(int32_t entry, int layer, int window) const {
  if (entry < shape_.resident) return layer * shape_.resident + entry;
  SLUICE_CHECK(window >= 0, "keys and values that are not resident have come");
  return std::ssize(shape_.layers) * shape_.resident + window * shape_.window_blocks + entry -
         shape_.resident;
}

std::byte* DeviceKv::home_of(int32_t block, int layer) const {
  const kernels::KvLayerView& view = home_->layer(layer);
  return view.base + (block - shape_.resident) * view.block_stride;
}

void DeviceKv::bring(size_t index, int layer) {
  const Flight& flight = flights_[index];
  const int window = window_of(index, layer);
  const auto bytes = static_cast<size_t>(shape_.layers[static_cast<size_t>(layer)].block_bytes());
  for (int64_t i = 0; i < flight.arriving; ++i) {
    const auto entry = static_cast<int32_t>(shape_.resident + i);
    std::memcpy(at(place_of(entry, layer, window)),
                home_of(flight.streamed[static_cast<size_t>(i)], layer), bytes);
  }
}

models::BatchView DeviceKv::there(size_t index, int layer, const models::BatchView& batch) {
  Flight& flight = flights_[index];
  const int window = window_of(index, layer);
  const int64_t step = shape_.layers.front().block_tokens;
  flight.table.clear();
  flight.slots.clear();
  flight.sequences.assign(batch.sequences.begin(), batch.sequences.end());
  for (const int32_t entry : flight.entries) {
    flight.table.push_back(static_cast<int32_t>(place_of(entry, layer, window)));
  }
  const int32_t* blocks = flight.table.data();
  for (models::SequenceRows& s : flight.sequences) {
    s.blocks = blocks;
    for (int64_t p = s.first_position; p < s.first_position + s.rows; ++p) {
      flight.slots.push_back(int64_t{blocks[p / step]} * step + p % step);
    }
    blocks += base::div_up(s.first_position + s.rows, step);
  }
  models::BatchView view = batch;
  view.sequences = flight.sequences;
  view.kv_slots = flight.slots;
  return view;
}

void DeviceKv::take_home(size_t index, int layer, const models::BatchView& batch) {
  const Flight& flight = flights_[index];
  const int window = window_of(index, layer);
  const kernels::KvLayout& layout = shape_.layers[static_cast<size_t>(layer)];
  const int64_t step = layout.block_tokens;
  const int32_t* entries = flight.entries.data();
  for (const models::SequenceRows& s : batch.sequences) {
    for (int64_t p = s.first_position; p < s.first_position + s.rows; ++p) {
      const int32_t entry = entries[p / step];
      if (entry < shape_.resident) continue;
      kernels::copy_kv_token(layout, p % step, at(place_of(entry, layer, window)),
                             home_of(s.blocks[p / step], layer));
    }
    entries += base::div_up(s.first_position + s.rows, step);
  }
}

}  // namespace sluice::engine
