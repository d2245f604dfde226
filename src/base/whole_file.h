// Small files that are read and written whole: a reader never sees half of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace sluice::base {

// Whether there is anything at `path`; false too where nobody may look.
bool is_there(const std::filesystem::path& path);

// kNotFound if it cannot be opened, kInvalid if it is larger than `most_bytes`.
Result<std::string> read_whole_file(const std::string& path, int64_t most_bytes);

// Written beside `path` and then renamed. kIo with the system's reason.
Status write_whole_file(const std::string& path, const std::string& text);

}  // namespace sluice::base
