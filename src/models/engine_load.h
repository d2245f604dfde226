// Loads tensors and pages of an engine directory: read straight to where they will be used, and
// checked there.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/error.h"
#include "base/thread_team.h"
#include "models/load_options.h"
#include "weights/mapped_file.h"

namespace sluice::models {

// One group of the directory.
struct EnginePart {
  int file = 0;
  int64_t offset = 0, bytes = 0;  // offset is a multiple of weights::kEngineAlignment
  uint32_t crc32c = 0;
  // Aligned as `offset` is, with room for `bytes` rounded up alike; all of it may be overwritten.
  std::byte* into = nullptr;
};

// Errors: damaged(i) of a part whose checksum does not match; what io::Reader says; kTimeout.
Status load_engine(std::span<const EnginePart> parts, std::span<const weights::MappedFile> files,
                   base::ThreadTeam& team, const LoadOptions& options,
                   const std::function<Error(size_t part)>& damaged);

}  // namespace sluice::models
