// Rows of a token embedding that lies on disk: those that iterations in flight need, and in the
// places that are left the ones that were used last. A row is f32, as the table's look-up gives it.
//
// Every holder finds room for all rows that it may need, so a claim is never refused. A row that is
// claimed stays; it may be used when it has been loaded.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/error.h"
#include "memory/arena.h"

namespace sluice::memory {

// Reads of rows under way, at most.
inline constexpr int kRowReads = 80;

struct EmbeddingRowsShape {
  int64_t vocab = 0;
  int64_t hidden = 0;
  int64_t rows = 0;         // in memory at once: those of all holders, or the vocabulary
  int64_t read_bytes = 0;   // of one read; a multiple of 4096
  int holders = 1;          // who may hold claims, by number: iterations in flight
  int64_t holder_rows = 0;  // that each may need
};

class EmbeddingRows {
 public:
  // Reserves rows and buffers. kNoRoom when the system refuses the memory.
  static Result<std::unique_ptr<EmbeddingRows>> create(const EmbeddingRowsShape& shape,
                                                       const ArenaOptions& options = {});
  // What create() reserves.
  static int64_t bytes(const EmbeddingRowsShape& shape);

  const EmbeddingRowsShape& shape() const { return shape_; }
  // Of all buffers: aligned to 4096 bytes.
  std::span<std::byte> memory() const { return buffers_; }
  std::span<std::byte> buffer(int read) const {
    return buffers_.subspan(static_cast<size_t>(read * shape_.read_bytes),
                            static_cast<size_t>(shape_.read_bytes));
  }

  // Of the thread that runs iterations.
  // Claims the rows of these tokens for a holder that holds none. Those that must be read first,
  // each once: until the holder's next call.
  std::span<const uint32_t> claim(int holder, std::span<const int32_t> tokens);
  // [hidden], of a row that is claimed and has been loaded.
  const float* at(int32_t token) const;

  // From any thread.
  void release(int holder);
  bool loaded(uint32_t row) const;
  // `values` [hidden] have come. Nobody may need them any more.
  void load(uint32_t row, const float* values);
  // It could not be read the last time it was tried, or not in time. Until it is loaded.
  void doubt(uint32_t row);
  bool doubtful(uint32_t row) const;
  int64_t claimed() const;  // rows, counted for each holder
  // Aborts unless rows, places and claims agree. Walks everything: for tests and simulators.
  void check_consistency() const;

 private:
  static constexpr int32_t kNowhere = -1;
  struct Place {
    int64_t row = -1;
    int64_t claim = 0;  // the last one that took it, by number
    int32_t claims = 0;
    bool loaded = false;
    // In the list of places that nobody claims, the next to be given away first.
    int32_t before = kNowhere, after = kNowhere;
  };
  struct Holder {
    std::vector<int32_t> places;
    std::vector<uint32_t> missing;
  };

  EmbeddingRows(const EmbeddingRowsShape& shape, Arena arena);
  int32_t take_place(uint32_t row);
  void insert_before(int32_t place, int32_t next);
  void remove(int32_t place);
  int32_t list_end() const { return static_cast<int32_t>(shape_.rows); }
  float* values(int32_t place) const { return values_ + place * shape_.hidden; }

  EmbeddingRowsShape shape_;
  Arena arena_;
  std::span<std::byte> buffers_;
  float* values_ = nullptr;      // [rows, hidden]
  std::span<int32_t> place_of_;  // [vocab]
  mutable std::mutex mutex_;
  std::vector<Place> places_;  // [rows], and the list's end
  std::vector<Holder> holders_;
  std::vector<bool> doubtful_;  // [vocab]
  int64_t claim_ = 0;           // the last one's number
};

}  // namespace sluice::memory
