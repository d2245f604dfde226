// For tests: disks that are full, fail, or note what they are asked.
#pragma once

#include <cerrno>
#include <string>
#include <vector>

#include "batch/file_faults.h"

namespace sluice::batch {

// A disk of so many bytes more, whose syncs fail if asked to.
class SmallDisk final : public FileFaults {
 public:
  explicit SmallDisk(size_t room) : room_(room) {}
  int before_open(const std::string&) override { return 0; }
  int before_write(const std::string&, size_t& bytes) override {
    const bool fits = bytes <= room_;
    if (!fits) bytes = room_;
    room_ -= bytes;
    return fits ? 0 : ENOSPC;
  }
  int before_truncate(const std::string&, int64_t) override {
    ++truncated;
    return 0;
  }
  int before_sync(const std::string&) override { return sync_error; }
  int before_rename(const std::string&, const std::string&) override { return rename_error; }
  int before_remove(const std::string&) override { return 0; }
  int before_sync_directory(const std::string&) override { return 0; }

  int truncated = 0, sync_error = 0, rename_error = 0;

 private:
  size_t room_;
};

// Notes what is written and synced.
class Recorder final : public FileFaults {
 public:
  int before_open(const std::string&) override { return 0; }
  int before_write(const std::string&, size_t&) override { return note("write"); }
  int before_truncate(const std::string&, int64_t) override { return note("cut"); }
  int before_sync(const std::string&) override { return note("sync"); }
  int before_rename(const std::string&, const std::string&) override { return note("rename"); }
  int before_remove(const std::string&) override { return note("remove"); }
  int before_sync_directory(const std::string&) override { return note("sync directory"); }

  std::vector<std::string> calls;

 private:
  int note(const char* call) {
    calls.emplace_back(call);
    return 0;
  }
};

}  // namespace sluice::batch
