#include "io/faults.h"

namespace sluice::io {

Fault ListedFaults::of_read(FileId file, int64_t offset, int64_t bytes) {
  return first(file, offset, bytes, false);
}

Fault ListedFaults::of_write(FileId file, int64_t offset, int64_t bytes) {
  return first(file, offset, bytes, true);
}

Fault ListedFaults::first(FileId file, int64_t offset, int64_t bytes, bool writes) {
  for (Entry& entry : entries_) {
    const bool hit = entry.file == file && entry.of_writes == writes && entry.offset >= offset &&
                     entry.offset < offset + bytes;
    if (!hit || entry.uses == 0) continue;
    --entry.uses;
    return entry.fault;
  }
  return {};
}

}  // namespace sluice::io
