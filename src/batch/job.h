// One batch from its two file names to its end: the lock, the input, what the output already has,
// the run. Opened before the model is loaded, so that what cannot go on says so at once.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "batch/feeder.h"
#include "batch/id_index.h"
#include "batch/input.h"
#include "batch/journal.h"
#include "batch/output.h"
#include "batch/runner.h"

namespace sluice::batch {

struct JobOptions {
  std::string input_path;     // "-" is standard input
  std::string output_path;    // beside it lies the journal
  bool force = false;         // go on with an output that was begun otherwise
  bool retry_faults = false;  // answer again what failed by faults of the machine
  int64_t now_local_s = 0;    // seconds since 1970 on the local clock
  SyncInterval sync;
  Journal::Place place;                              // for simulators
  const base::Clock* clock = &base::steady_clock();  // outlives the job
};

class Job {
 public:
  // Locks the output and reads the input through once. kInvalid: another run has the output; it
  // was begun with another input, or without a journal, and there is no `force`.
  static Result<std::unique_ptr<Job>> open(const JobOptions& options);

  // Checks model and settings against the journal's and finds out what is answered.
  Status prepare(const std::string& model_fingerprint, const Json& settings);

  // Answers the rest. `feeder` needs no more than the settings; the rest is filled in. When it
  // fails, `state` still says how far it came.
  Status run(engine::Engine& engine, const ModelText& text, FeederOptions feeder,
             AnswerContext context, RunnerHooks hooks, RunState& state);

  const Input& input() const { return input_; }
  const Output& output() const { return *output_; }
  int64_t answered_before() const { return answered_before_; }
  int64_t failed_before() const { return failed_before_; }  // of these, error lines
  int64_t faults_before() const { return faults_before_; }  // of these, by faults of the machine
  int64_t retried() const { return retried_; }              // error lines that were taken out
  int64_t index_bytes() const { return index_->bytes(); }   // after prepare()
  // When the output was begun: what templates are told the time is.
  int64_t begun_local_s() const { return journal_->begun_local_s(); }

 private:
  Job() = default;
  Error refusal(const std::string& what) const;

  JobOptions options_;
  std::optional<Journal> journal_;
  Input input_;
  std::optional<Output> output_;
  std::optional<IdIndex> index_;
  int64_t answered_before_ = 0, failed_before_ = 0, faults_before_ = 0, retried_ = 0;
};

}  // namespace sluice::batch
