// Keys and values on a device where attention runs, and which of them are there: some blocks of the
// cache stay, in every layer; the others come, one layer of one micro-batch at a time, into one of
// two windows, and what is new in them goes home to the host's cache.
//
// A block of the cache is resident if its number is below `resident`. The device's memory is one
// array of places, each of one layer's block: resident blocks layer by layer, then the windows.
// Blocks that several sequences of a micro-batch share come once.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/error.h"
#include "memory/arena.h"
#include "memory/device_kv_size.h"
#include "memory/kv_cache.h"
#include "models/batch_view.h"
#include "schedule/builder.h"

namespace sluice::engine {

class DeviceKv {
 public:
  static constexpr int kWindows = memory::kDeviceKvWindows;

  struct Shape {
    std::vector<kernels::KvLayout> layers;  // all of the same block_tokens
    int64_t blocks = 0;                     // of the whole cache
    int64_t resident = 0;
    int64_t window_blocks = 0;  // of one micro-batch, at most, that are not resident
    int64_t micro_batches = 0;
    int64_t sequences = 0, rows = 0;  // of one micro-batch's iteration, at most
    int64_t sequence_blocks = 0;      // of one sequence, at most
  };

  // `home` is borrowed: the host's cache of all blocks that are not resident, the first of which is
  // its block 0; null if there are none. kNoRoom when the system refuses the memory.
  static Result<std::unique_ptr<DeviceKv>> create(const Shape& shape, const memory::KvCache* home);

  // By layer, for ForwardContext.
  std::span<const kernels::KvLayerView> views() const { return views_; }

  // Before `flight`'s iteration is submitted: finds its blocks their places, and says what moves.
  schedule::KvMoves place(size_t flight, const models::BatchView& batch);

  // Lane to the device: takes a window for one layer of the micro-batch; false if none is free.
  // Then brings the blocks that hold tokens of earlier iterations.
  bool claim(size_t flight, int layer);
  void bring(size_t flight, int layer);
  // The device: the micro-batch with the places of its blocks in that layer; valid until the next
  // call for this flight.
  models::BatchView there(size_t flight, int layer, const models::BatchView& batch);
  // Lane to the host: new tokens go home. Then gives the window back.
  void take_home(size_t flight, int layer, const models::BatchView& batch);
  void release(size_t flight, int layer);
  // Once an iteration that failed has ended: the windows that it still has.
  void release_all(size_t flight);
  int used_windows() const;

 private:
  struct Window {
    bool used = false;
    size_t flight = 0;
    int layer = 0;
  };
  // Of a micro-batch. A block's entry is its number if it is resident, else `resident` and its
  // number within the window.
  struct Flight {
    std::vector<int32_t> entries;   // by sequence, of its block table
    std::vector<int32_t> streamed;  // [number within the window]: the block
    int64_t arriving = 0;           // the first of these
    std::vector<int32_t> table;     // what there() gives
    std::vector<int64_t> slots;
    std::vector<models::SequenceRows> sequences;
  };

  DeviceKv(const Shape& shape, const memory::KvCache* home, memory::Arena arena);
  void add_blocks(Flight& flight, const models::BatchView& batch, bool arriving);
  int window_of(size_t flight, int layer);  // -1: it has none
  int64_t place_of(int32_t entry, int layer, int window) const;
  std::byte* at(int64_t place) const { return base_ + place * stride_; }
  std::byte* home_of(int32_t block, int layer) const;

  const Shape shape_;
  const memory::KvCache* home_;
  memory::Arena arena_;
  std::byte* base_ = nullptr;
  int64_t stride_ = 0;
  std::vector<kernels::KvLayerView> views_;
  std::vector<Flight> flights_;
  std::vector<int32_t> number_;  // by block: within the window of the batch being placed, or -1
  mutable std::mutex mutex_;
  Window windows_[kWindows];
};

}  // namespace sluice::engine
