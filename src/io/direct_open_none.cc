#include <unistd.h>

#include <cerrno>

#include "io/open_file.h"

namespace sluice::io {

int open_direct(const char*) {
  errno = ENOTSUP;
  return -1;
}

int open_nameless(const char*, bool) {
  errno = ENOTSUP;
  return -1;
}

int take_room(int fd, int64_t bytes) { return ::ftruncate(fd, bytes) == 0 ? 0 : errno; }

}  // namespace sluice::io
