#include "io/faults.h"

namespace sluice::io {

Fault ListedFaults::of_read(FileId file, int64_t offset, int64_t bytes) {
  for (Entry& entry : entries_) {
    const bool hit = entry.file == file && entry.offset >= offset && entry.offset < offset + bytes;
    if (!hit || entry.uses == 0) continue;
    --entry.uses;
    return entry.fault;
  }
  return {};
}

}  // namespace sluice::io
