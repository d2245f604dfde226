#include "base/whole_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <system_error>

namespace sluice::base {
namespace {

Error failed(const std::string& what, const std::string& path, ErrorCode code) {
  return {code, "cannot " + what + " '" + path + "': " + std::strerror(errno)};
}

}  // namespace

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<std::string> read_whole_file(const std::string& path, int64_t most_bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failed("read", path, ErrorCode::kNotFound);
  std::string text(static_cast<size_t>(most_bytes) + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > static_cast<size_t>(most_bytes)) {
    return Error{ErrorCode::kInvalid,
                 "'" + path + "' is larger than the " + std::to_string(most_bytes) + " bytes read"};
  }
  return text;
}

Status write_whole_file(const std::string& path, const std::string& text) {
  const std::string part = path + ".part" + std::to_string(::getpid());
  {
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    file << text;
    file.flush();
    if (!file) {
      const Error error = failed("write", part, ErrorCode::kIo);
      std::remove(part.c_str());
      return error;
    }
  }
  if (std::rename(part.c_str(), path.c_str()) != 0) {
    const Error error = failed("write", path, ErrorCode::kIo);
    std::remove(part.c_str());
    return error;
  }
  return {};
}

}  // namespace sluice::base
