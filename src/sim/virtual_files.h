// What becomes of a batch's files when a write fails, the disk is full, or the machine goes down.
// The files are real; this knows how much of each was synced, and after a loss of power puts in
// their place what a disk might have kept.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "batch/file_faults.h"
#include "sim/world.h"

namespace sluice::sim {

struct FileTrouble {
  double error = 0;           // EIO of a write or sync, by call
  int64_t room_bytes = -1;    // until the disk is full; -1: there is enough
  int64_t kill_at_write = 0;  // the process dies within the so-manieth write; 0: it does not
  bool syncs_lie = false;     // broken on purpose: a sync puts nothing on the disk
};

class VirtualFiles final : public batch::FileFaults {
 public:
  explicit VirtualFiles(World& world) : world_(world) {}

  // A new run of the process begins.
  void begin(const FileTrouble& trouble);
  // Whether a call has failed in this run, so that an error of the run is explained.
  bool failed() const { return failed_; }

  // After a loss of power: of what was not synced remains as much as is drawn, with holes; a name
  // that was made and whose directory was not synced may be gone.
  void power_lost();

  int before_open(const std::string& path) override;
  int before_write(const std::string& path, size_t& bytes) override;
  int before_truncate(const std::string& path, int64_t bytes) override;
  int before_sync(const std::string& path) override;
  int before_rename(const std::string& from, const std::string& to) override;
  int before_remove(const std::string& path) override;
  int before_sync_directory(const std::string& path) override;

 private:
  struct State {
    std::string durable;     // what a sync has put on the disk
    int64_t kept_bytes = 0;  // of these, never cut off since
    bool name_durable = false;
    std::optional<std::string> before;  // what the name may mean again, until it is durable
  };
  int fault();
  State& state_of(const std::string& path);
  std::string survivor(const State& state, const std::string& now);

  World& world_;
  FileTrouble trouble_;
  bool failed_ = false;
  std::map<std::string, State> files_;
};

}  // namespace sluice::sim
