#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "io/open_file.h"

namespace sluice::io {

int open_direct(const char* path) { return ::open(path, O_RDONLY | O_CLOEXEC | O_DIRECT); }

int open_nameless(const char* directory, bool direct) {
  return ::open(directory, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0), 0600);
}

// Where a file system cannot promise room it is found wanting when it is written.
int take_room(int fd, int64_t bytes) {
  if (::fallocate(fd, 0, 0, bytes) == 0) return 0;
  if (errno != EOPNOTSUPP) return errno;
  return ::ftruncate(fd, bytes) == 0 ? 0 : errno;
}

}  // namespace sluice::io
