#include <fcntl.h>

#include "io/open_file.h"

namespace sluice::io {

int open_direct(const char* path) { return ::open(path, O_RDONLY | O_CLOEXEC | O_DIRECT); }

}  // namespace sluice::io
