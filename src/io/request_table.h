// Requests become device calls: large ones are split, adjacent ones are merged, short calls go on,
// failed ones are parted so that only the request that meets the bad place fails. No I/O and no
// clock: who starts calls and learns their results tells it. What is said of reads here holds for
// writes too.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/reader.h"

namespace sluice::io {

// A request that ended. `failure`: 0, an errno, or kEndOfFile.
struct Finished {
  static constexpr int kEndOfFile = -1;
  Request request;
  int failure = 0;
  int64_t failed_offset = 0;  // of the file
};

class RequestTable {
 public:
  // All storage is made here. `slots`: device calls under way, at most.
  RequestTable(int64_t max_requests, int slots, int64_t read_bytes);

  bool full() const { return free_requests_.empty(); }
  int64_t out() const;  // requests added and not taken

  // `direct`: sizes asked of the device are whole multiples of kDirectAlignment.
  void add(const Request& request, bool direct);

  // Puts the next read into a free slot and returns it; -1 if there is no slot, or nothing waits.
  // Reads start in the order of the requests.
  int begin();

  // What a slot asks of the device next.
  struct Ask {
    FileId file = 0;
    int64_t offset = 0;
    int64_t bytes = 0;
    std::byte* memory = nullptr;
    bool direct = false;
    bool writes = false;
  };
  Ask ask(int slot) const;

  // The device's answer to ask(slot): bytes moved, or -errno. True if the slot is not done yet: ask
  // again. Else it is free.
  bool settle(int slot, int64_t result);

  // The oldest of the requests that ended, which makes room for another. False if there is none.
  bool take(Finished& finished);
  bool any_finished() const { return finished_count_ > 0; }

 private:
  static constexpr int32_t kNone = -1;

  struct Entry {
    Request wanted;
    bool direct = false;
    int64_t issued_bytes = 0;  // that lie in a read begun
    int32_t reads_out = 0;     // reads that still have to do with it
    int32_t next = kNone;      // the one submitted after it
    int failure = 0;
    int64_t failed_offset = 0;
  };

  // A read that covers the end of one request, whole ones after it, the beginning of the last.
  struct Slot {
    FileId file = 0;
    bool direct = false;
    bool writes = false;
    bool parted = false;  // asks for one request's part at a time, after a failure
    int retries = 0;      // in a row
    int64_t offset = 0, bytes = 0;
    std::byte* memory = nullptr;
    int64_t done_bytes = 0;
    int32_t current = kNone;  // the request in which done_bytes lies
    int64_t current_end = 0;  // of its part, counted from the read's first byte
  };

  bool continues(const Slot& slot, const Entry& request) const;
  void advance(Slot& slot);
  bool refuse(Slot& slot, int failure);
  void leave(int32_t request);
  void fail(int32_t request, int failure, int64_t offset);
  bool release(int slot);

  int64_t read_bytes_;
  std::vector<Entry> requests_;
  std::vector<Slot> slots_;
  std::vector<int32_t> free_requests_, free_slots_;
  int32_t head_ = kNone, tail_ = kNone;  // requests with bytes that no read has begun
  std::vector<int32_t> finished_;        // a ring
  size_t finished_first_ = 0, finished_count_ = 0;
};

}  // namespace sluice::io
