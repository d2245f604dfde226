// The seam where tests and simulators make calls fail: asked once for each device call, before it
// starts, on the thread that owns the reader. Both backends then go through what they do when the
// device itself misbehaves.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "io/reader.h"

namespace sluice::io {

// What befalls one device call.
struct Fault {
  int error = 0;                       // an errno instead of the call; 0: none
  std::optional<int64_t> most_bytes;   // a short call: so many at most (of a direct file whole
                                       // multiples of kDirectAlignment, at least one)
  int64_t stall_ms = 0;                // its result is withheld so long
  std::optional<int64_t> flipped_bit;  // counted from the read's first bit, if it is among what was
                                       // read

  bool operator==(const Fault&) const = default;
};

class Faults {
 public:
  virtual ~Faults() = default;

  // The fault of a read of [offset, offset + bytes) of a file. Retries and continued short reads
  // are reads of their own.
  virtual Fault of_read(FileId file, int64_t offset, int64_t bytes) = 0;
  // The same of a write; a flipped bit would be the caller's memory's, and is not made.
  virtual Fault of_write(FileId, int64_t, int64_t) { return {}; }
};

// Faults at stated places: the first entry with uses left whose byte lies in the call.
class ListedFaults : public Faults {
 public:
  struct Entry {
    FileId file = 0;
    int64_t offset = 0;  // of the byte whose calls are hit
    Fault fault;
    int64_t uses = INT64_MAX;
    bool of_writes = false;  // else of reads
  };

  void add(const Entry& entry) { entries_.push_back(entry); }
  Fault of_read(FileId file, int64_t offset, int64_t bytes) override;
  Fault of_write(FileId file, int64_t offset, int64_t bytes) override;

 private:
  Fault first(FileId file, int64_t offset, int64_t bytes, bool writes);

  std::vector<Entry> entries_;
};

}  // namespace sluice::io
