#include "text/handle.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace sluice::text {

Error Reply::error(int32_t status) const {
  switch (static_cast<sluice_text_status>(status)) {
    case SLUICE_TEXT_UNSUPPORTED:
      return {ErrorCode::kUnsupported, text()};
    case SLUICE_TEXT_TIMEOUT:
      return {ErrorCode::kTimeout, text()};
    case SLUICE_TEXT_FAULT:
      return {ErrorCode::kFault, text()};
    case SLUICE_TEXT_OK:
    case SLUICE_TEXT_INVALID:
    case SLUICE_TEXT_LIMIT:
      return {ErrorCode::kInvalid, text()};
  }
  return {ErrorCode::kFault, text()};
}

Error over_limit(const std::string& what, size_t bytes, size_t limit_bytes, const char* limit) {
  return {ErrorCode::kInvalid, what + " is " + std::to_string(bytes) + " bytes long, " + limit +
                                   " allows " + std::to_string(limit_bytes)};
}

Result<std::string> read_file(const std::string& path, size_t limit_bytes, const char* limit) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) {
    return Error{ErrorCode::kNotFound, path + ": no such file"};
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{ErrorCode::kIo, path + ": " + std::strerror(errno)};
  std::string text;
  char block[1 << 16];
  while (file.read(block, sizeof(block)) || file.gcount() > 0) {
    text.append(block, static_cast<size_t>(file.gcount()));
    if (text.size() > limit_bytes) return over_limit(path, text.size(), limit_bytes, limit);
  }
  if (file.bad()) return Error{ErrorCode::kIo, path + ": cannot be read"};
  return text;
}

}  // namespace sluice::text
