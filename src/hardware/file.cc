#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "hardware/hardware.h"

namespace sluice::hardware {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

Error io_error(const std::string& what, const std::string& path) {
  return {ErrorCode::kIo, "cannot " + what + " '" + path + "': " + std::strerror(errno)};
}

}  // namespace

Result<Hardware> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Error{ErrorCode::kNotFound,
                 "cannot read hardware file '" + path + "': " + std::strerror(errno)};
  }
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  auto json = base::parse_json(text, {.bytes = kMaxFileBytes, .depth = 8});
  if (!json) return json.error().in(path);
  auto hardware = from_json(*json);
  if (!hardware) return hardware.error().in(path);
  return hardware;
}

Status write_file(const Hardware& hardware, const std::string& path) {
  const std::string part = path + ".part" + std::to_string(::getpid());
  {
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    file << to_json(hardware).dump(2) << '\n';
    file.flush();
    if (!file) {
      const Error error = io_error("write", part);
      std::remove(part.c_str());
      return error;
    }
  }
  if (std::rename(part.c_str(), path.c_str()) != 0) {
    const Error error = io_error("write", path);
    std::remove(part.c_str());
    return error;
  }
  return {};
}

}  // namespace sluice::hardware
