// The disk that holds the experts, and keys and values: real files, read and written when virtual
// time says that the call has ended, and what goes wrong with it. The reader above it
// (io::QueueReader) is the real one.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "io/device_queue.h"
#include "io/faults.h"
#include "sim/world.h"

namespace sluice::sim {

struct DiskTrouble {
  int64_t read_ns = 100'000;  // of a read, typically
  // How likely each is, by device read.
  double error = 0;     // EIO, and the next try succeeds
  double again = 0;     // EAGAIN
  double flipped = 0;   // a bit, and the next try is right
  double is_short = 0;  // less than was asked for
  double stall = 0;     // of some milliseconds
  double bad_page = 0;  // EIO or a flipped bit, whenever this place is read, until the next run
  double hangs = 0;     // for longer than a lane may take
};

// What befalls each read and write, drawn.
class DrawnFaults final : public io::Faults {
 public:
  DrawnFaults(World& world, const DiskTrouble& trouble) : world_(world), trouble_(trouble) {}
  io::Fault of_read(io::FileId file, int64_t offset, int64_t bytes) override;
  io::Fault of_write(io::FileId file, int64_t offset, int64_t bytes) override;

  // Something has happened that does not pass, or a page may have been missed at every try: a run
  // may end with an error.
  bool lasting() const { return lasting_ || missed_ >= 3; }

 private:
  bool drawn(double chance, Happening happening, const std::string& place);
  std::optional<io::Fault> of_either(const std::string& place, int64_t bytes);

  World& world_;
  DiskTrouble trouble_;
  std::set<std::pair<io::FileId, int64_t>> unreadable_, flipped_;
  bool lasting_ = false;
  int missed_ = 0;  // calls that failed and would have passed
};

// Calls end after drawn delays, in any order, and only then is anything read or written. From a
// read's start until then its memory holds bytes that no weight is made of, so that whoever
// computes with a page too early gives a wrong answer; and whoever changes what is being written
// too early has written what is wrong.
std::unique_ptr<io::DeviceQueue> make_virtual_queue(World& world, int64_t read_ns, int depth);

}  // namespace sluice::sim
