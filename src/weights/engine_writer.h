// Writes an engine directory group by group, under OUT.partial until it is whole. Killed at any
// instant, the same build goes on: what was written is known from a journal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/build_journal.h"
#include "weights/engine_manifest.h"
#include "weights/engine_places.h"
#include "weights/output_file.h"

namespace sluice::weights {

// A file that lies beside the weights, as it is to be.
struct BesideText {
  std::string name;
  std::string bytes;
};

class EngineWriter {
 public:
  // So much may be written again after the power was lost.
  static constexpr int64_t kSyncBytes = int64_t{256} << 20;

  // Begins OUT.partial, or goes on with it. `beside_bytes` is about what finish() adds. Errors: an
  // OUT that exists; another process that builds it; an OUT.partial of another build; kNoRoom, with
  // the numbers, before anything is written.
  static Result<EngineWriter> open(const std::filesystem::path& out, const BuildIdentity& identity,
                                   EnginePlaces places, int64_t beside_bytes);

  // Groups that an earlier run wrote and that were found again as they should be.
  bool has(size_t group) const { return journal_.groups()[group].has_value(); }
  int64_t bytes_found() const { return bytes_found_; }

  // `bytes` of the group, as many as places say.
  Status write(size_t group, std::span<const std::byte> bytes);
  // All that was written is on the disk, and the journal says so.
  Status sync();

  // Of a group that has been written.
  uint32_t checksum(size_t group) const { return journal_.groups()[group]->crc32c; }

  // When all groups are written: adds the files beside them (filling manifest.files and .beside)
  // and the manifest, syncs all of it, and gives the directory its name.
  Status finish(EngineManifest manifest, std::span<const BesideText> beside);

  const std::filesystem::path& partial() const { return partial_; }

 private:
  explicit EngineWriter(BuildJournal journal) : journal_(std::move(journal)) {}
  Status find_written();
  Status use_file(int file);

  std::filesystem::path out_, partial_;
  EnginePlaces places_;
  BuildJournal journal_;
  OutputFile data_;
  int file_ = -1;  // that data_ is
  int64_t bytes_found_ = 0, unsynced_bytes_ = 0;
};

// Where a build was killed when OUT had its name and all that was left to do was to remove the
// journal: does that, and is true. Errors: another build's journal.
Result<bool> finish_named(const std::filesystem::path& out, const BuildIdentity& identity);

}  // namespace sluice::weights
