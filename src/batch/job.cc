#include "batch/job.h"

#include <sys/stat.h>

namespace sluice::batch {
namespace {

bool same_file(const std::string& a, const std::string& b) {
  struct stat info_a = {}, info_b = {};
  return ::stat(a.c_str(), &info_a) == 0 && ::stat(b.c_str(), &info_b) == 0 &&
         info_a.st_dev == info_b.st_dev && info_a.st_ino == info_b.st_ino;
}

Result<std::string> input_id_at(const File& file, int64_t offset) {
  SLUICE_ASSIGN(const std::string text, line_at(file, offset));
  return parse_line(text, {}).custom_id;
}

}  // namespace

Error Job::refusal(const std::string& what) const {
  return {ErrorCode::kInvalid, "'" + options_.output_path + "' was begun with " + what +
                                   "; name another output, or go on with what it has by --force"};
}

Result<std::unique_ptr<Job>> Job::open(const JobOptions& options) {
  if (same_file(options.input_path, options.output_path))
    return Error{ErrorCode::kInvalid, "input and output are the same file; name another output"};
  std::unique_ptr<Job> job(new Job);
  job->options_ = options;
  SLUICE_ASSIGN(Journal journal, Journal::open(options.output_path, options.place));
  job->journal_.emplace(std::move(journal));
  SLUICE_ASSIGN(job->input_, open_input(options.input_path, options.output_path));
  if (options.force) return job;
  const auto& before = job->journal_->identity();
  if (before && (before->input != job->input_.identity || before->input_bytes != job->input_.bytes))
    return job->refusal("another input");
  struct stat info = {};
  if (!before && ::stat(options.output_path.c_str(), &info) == 0 && info.st_size > 0) {
    return Error{ErrorCode::kInvalid,
                 "'" + options.output_path +
                     "' is there already, without a journal; name another output, or go on with "
                     "the answers in it by --force"};
  }
  return job;
}

Status Job::prepare(const std::string& model_fingerprint, const Json& settings) {
  const BatchIdentity identity{input_.identity, input_.bytes, model_fingerprint, settings};
  const std::string difference = journal_->difference(identity);
  if (!difference.empty() && !options_.force) return refusal(difference);
  const bool goes_on = journal_->identity() && difference.empty();
  SLUICE_ASSIGN(Output output,
                Output::open(options_.output_path, *journal_, options_.sync, *options_.clock));
  output_.emplace(std::move(output));
  if (options_.retry_faults) {
    SLUICE_ASSIGN(retried_, output_->drop_faults());
  }
  int64_t lines = input_.requests;
  if (!goes_on) {
    SLUICE_ASSIGN(const int64_t there, output_->count_lines());
    lines += there;
  }
  SLUICE_ASSIGN(IdIndex index, IdIndex::create(lines, options_.output_path,
                                               [this](IdIndex::Where where, int64_t offset) {
                                                 return where == IdIndex::Where::kOutput
                                                            ? output_->id_at(offset)
                                                            : input_id_at(input_.file, offset);
                                               }));
  index_.emplace(std::move(index));
  answered_before_ = failed_before_ = faults_before_ = 0;
  SLUICE_TRY(output_->recover([this](const AnswerHead& head, int64_t offset) -> Status {
    SLUICE_ASSIGN(const bool first, index_->add_answered(head.custom_id, offset));
    if (!first) {
      return Error{ErrorCode::kCorrupt, "'" + options_.output_path + "' has the custom_id '" +
                                            head.custom_id + "' twice; remove one of its lines"};
    }
    ++answered_before_;
    failed_before_ += head.failed ? 1 : 0;
    faults_before_ += head.fault ? 1 : 0;
    return {};
  }));
  return goes_on ? Status() : journal_->begin(identity, options_.now_local_s);
}

Status Job::run(engine::Engine& engine, const ModelText& text, FeederOptions feeder_options,
                AnswerContext context, RunnerHooks hooks, RunState& state) {
  SLUICE_CHECK(index_.has_value(), "prepare() comes before run()");
  feeder_options.max_seq_len = engine.plan().max_seq_len;
  feeder_options.stop_requested = hooks.stop_requested;
  hooks.clock = options_.clock;
  Feeder feeder(input_, *index_, text, std::move(feeder_options));
  RunState begin;
  begin.requests = input_.requests;
  Runner runner(engine, feeder, *output_, std::move(context), std::move(hooks), begin);
  const Status ran = runner.run();
  state = runner.state();
  return ran;
}

}  // namespace sluice::batch
