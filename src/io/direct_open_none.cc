#include <cerrno>

#include "io/open_file.h"

namespace sluice::io {

int open_direct(const char*) {
  errno = ENOTSUP;
  return -1;
}

}  // namespace sluice::io
