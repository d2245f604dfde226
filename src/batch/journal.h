// The sidecar OUT.journal: it holds the lock on an output, knows which input, model and settings
// the output belongs to, and how much of the output was surely on the disk. Appended to, never
// rewritten, one JSON object a line; a torn last line is dropped, and what follows a damaged one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "batch/file.h"

namespace sluice::batch {

// Two runs that differ in any of these would write different answers.
struct BatchIdentity {
  std::string input;  // of its content
  int64_t input_bytes = 0;
  std::string model;  // the engine's fingerprint of weights and config
  Json settings;      // defaults of sampling, lengths and seed
  bool operator==(const BatchIdentity&) const = default;
};

class Journal {
 public:
  // What files and processes are elsewhere: for simulators.
  struct Place {
    FileFaults* faults = nullptr;  // file_faults.h; outlives the journal
    int64_t process_id = 0;        // as noted in the file; 0: this process's
  };
  // Opens or creates `output_path`.journal and locks it until the journal is destroyed. kInvalid:
  // another process holds it, named by its pid. kCorrupt: not a journal.
  static Result<Journal> open(const std::string& output_path, const Place& place);
  static Result<Journal> open(const std::string& output_path) { return open(output_path, {}); }
  Journal(Journal&&) = default;
  Journal& operator=(Journal&&) = delete;
  // A journal with which nothing was begun, since the batch was refused, goes with its lock.
  ~Journal();

  // What the output was begun with, if it was.
  const std::optional<BatchIdentity>& identity() const { return identity_; }
  // How many bytes of the output were synced when the journal was last written.
  int64_t synced_bytes() const { return synced_bytes_; }

  // When the output was begun, in seconds since 1970 on the local clock: what a chat template's
  // strftime_now tells, so that a run resumed tomorrow renders what it rendered today.
  int64_t begun_local_s() const { return begun_local_s_; }

  // What differs between the run before and this one, for a sentence: "the model", or empty.
  std::string difference(const BatchIdentity& now) const;

  // Each is on the disk when it returns (but for `synced`, which only ever says too little).
  Status begin(const BatchIdentity& identity, int64_t now_local_s);
  Status synced(int64_t output_bytes);
  // Nothing of the output counts as synced any more: it is about to be replaced.
  Status replaced();

  const std::string& path() const { return file_.path(); }
  FileFaults* faults() const { return file_.faults(); }

 private:
  Journal() = default;
  Status read();
  Status append(const Json& record);

  File file_;
  bool locked_ = false;
  std::optional<BatchIdentity> identity_;
  int64_t synced_bytes_ = 0, begun_local_s_ = 0;
};

}  // namespace sluice::batch
