// What the program's exit status says. Stable: scripts read it, docs/batch_format.md lists it.
#pragma once

namespace sluice::cli {

enum ExitCode : int {
  kOk = 0,
  kFailed = 1,       // an error, told in one sentence on standard error
  kUsage = 2,        // the command line makes no sense
  kErrorLines = 3,   // batch: every line is answered, some with an error line
  kInterrupted = 4,  // stopped by Ctrl-C or SIGTERM; the same command goes on
  kDiskFull = 5,     // the output could not be written; with space, the same command goes on
  kBroken = 6,       // batch: the machine failed (disk, device); mended, the same command goes on
};

}  // namespace sluice::cli
