// What an unfinished engine directory knows of itself: of what it is built, and which groups are
// written. One JSON object a line, appended to; a torn last line is dropped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "weights/output_file.h"

namespace sluice::weights {

// Two builds that differ in any of these would write other bytes, or to other places.
struct BuildIdentity {
  std::string model;         // the source's fingerprint
  std::string quantization;  // as --quant names it
  std::string program;       // another version may pack otherwise
  int64_t groups = 0;
  int64_t bytes = 0;  // of all files of weights
  bool operator==(const BuildIdentity&) const = default;
};

class BuildJournal {
 public:
  // Opens the journal at `path`, or begins it, and locks it for as long as it lives. kInvalid:
  // another process has it; it is another build's, in what. kCorrupt: not a journal.
  static Result<BuildJournal> open(const std::filesystem::path& path,
                                   const BuildIdentity& identity);

  // Checksums by group, of those that were written; whether a group's bytes were on the disk by
  // then. What was not may have been lost with the power, and must be read back.
  struct Written {
    uint32_t crc32c = 0;
    bool synced = false;
  };
  const std::vector<std::optional<Written>>& groups() const { return groups_; }

  Status wrote(size_t group, uint32_t crc32c);
  // It is not there after all.
  Status lost(size_t group);
  // All groups that were written are on the disk; so is, when it returns, that they are.
  Status synced();

 private:
  BuildJournal() = default;
  Status read(const BuildIdentity& identity);
  Status take(const std::string& line);

  OutputFile file_;
  std::vector<std::optional<Written>> groups_;
};

}  // namespace sluice::weights
