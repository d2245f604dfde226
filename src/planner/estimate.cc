#include "planner/estimate.h"

#include <algorithm>

#include "base/check.h"

namespace sluice::planner {

using schedule::Lane;

namespace {

// One job while its phases are summed up.
class JobSum {
 public:
  JobSum(const Subject& subject, Candidate candidate, const Workload& workload, bool with_work,
         double most_seconds)
      : subject_(subject),
        candidate_(std::move(candidate)),
        with_work_(with_work),
        most_seconds_(most_seconds),
        requests_(static_cast<double>(workload.count())),
        prompt_(workload.mean_prompt()),
        generated_(workload.mean_generated()) {
    // A batch that is never full is as good as one of what there is.
    plan::Policy& policy = candidate_.policy;
    policy.batch = std::min(policy.batch, workload.count());
    policy.micro_batch = std::min(policy.micro_batch, policy.batch);
  }

  Estimate run() {
    const ScheduleKind& kind = *find_schedule(candidate_.policy.schedule);
    if (kind.prompts_first) {
      prompts_first();
    } else {
      riding_along();
    }
    result_.tokens_per_second = requests_ * generated_ / result_.seconds;
    result_.bound = static_cast<Lane>(std::max_element(result_.busy.begin(), result_.busy.end()) -
                                      result_.busy.begin());
    energy();
    return std::move(result_);
  }

 private:
  double micro_batch() const {
    return static_cast<double>(candidate_.policy.batch) /
           static_cast<double>(candidate_.micro_batches());
  }
  double decode_passes() const { return std::max(generated_ - 1, 0.0); }

  Rows decode_rows() const {
    return {.decode = micro_batch(), .decode_context = prompt_ + generated_ / 2};
  }

  void spend(const Pass& pass, double times) {
    result_.seconds += pass.seconds * times;
    result_.floor_seconds += pass.floor_seconds * times;
    for (size_t lane = 0; lane < pass.lanes.size(); ++lane)
      result_.busy[lane] += pass.lanes[lane] * times;
  }
  void keep(const Rows& rows) {
    result_.pass = pass_of(subject_, candidate_, rows, false, with_work_);
    result_.seconds_per_token = result_.pass.seconds;
  }

  // Batch after batch: all prompts, layer by layer, then token after token. The first token of an
  // answer comes of its prompt.
  void prompts_first() {
    const double batches = requests_ / static_cast<double>(candidate_.policy.batch);
    const Rows prompts{.prompt = micro_batch() * prompt_,
                       .prompt_sequences = micro_batch(),
                       .prompt_context = prompt_ / 2};
    spend(pass_of(subject_, candidate_, prompts, true), batches);
    result_.prefill_seconds = result_.seconds;
    keep(decode_rows());
    spend(result_.pass, decode_passes() * batches);
  }

  // Prompts ride along with decoding, as much as an iteration's rows leave room for.
  void riding_along() {
    const auto batch = static_cast<double>(candidate_.policy.batch);
    const double budget = static_cast<double>(candidate_.max_num_tokens);
    const double mu = micro_batch();
    const double more = (requests_ - batch) / batch;  // batches that follow
    if (more > 0) {
      // A sequence holds its place for so many iterations, in which its rows are computed.
      const double life = std::max(generated_, mu * (prompt_ + decode_passes()) / budget);
      const Rows mixed{.decode = mu * decode_passes() / life,
                       .decode_context = prompt_ + generated_ / 2,
                       .prompt = mu * prompt_ / life,
                       .prompt_sequences = mu / life * std::max(1.0, prompt_ / budget),
                       .prompt_context = prompt_ / 2};
      keep(mixed);
      spend(result_.pass, more * life);
      if (result_.seconds > most_seconds_) return;
      spend(pass_of(subject_, candidate_, decode_rows()), decode_passes());
    } else {
      keep(decode_rows());
      spend(result_.pass, decode_passes());
    }
    if (result_.seconds > most_seconds_) return;
    // The first batch's prompts fill iterations by themselves.
    const double decoding = result_.seconds;
    const double first = std::min(budget, mu * prompt_);
    const Rows filling{.prompt = first,
                       .prompt_sequences = std::max(first / prompt_, 1.0),
                       .prompt_context = prompt_ / 2};
    spend(pass_of(subject_, candidate_, filling), mu * prompt_ / first);
    if (more <= 0) result_.prefill_seconds = result_.seconds - decoding;
  }

  // Every level idles all of the time, and works while its lane does.
  void energy() {
    const Machine& machine = subject_.machine;
    const auto busy = [&](Lane lane) { return result_.busy[static_cast<size_t>(lane)]; };
    const auto joules = [&](const Watts& watts, double seconds) {
      return watts.idle * result_.seconds +
             (watts.busy - watts.idle) * std::min(seconds, result_.seconds);
    };
    const double all = joules(machine.device_watts, busy(Lane::kDeviceCompute)) +
                       joules(machine.host_watts, busy(Lane::kHostCompute)) +
                       joules(machine.disk_watts, busy(Lane::kDisk));
    result_.joules_per_token = all / (requests_ * generated_);
  }

  const Subject& subject_;
  Candidate candidate_;
  bool with_work_;
  double most_seconds_;
  double requests_, prompt_, generated_;
  Estimate result_;
};

}  // namespace

const char* name(Objective objective) {
  switch (objective) {
    case Objective::kThroughput:
      return "throughput";
    case Objective::kLatency:
      return "latency";
    case Objective::kEnergy:
      return "energy";
  }
  base::check_failed("known objective", "an Objective outside its enum", __FILE__, __LINE__);
}

Estimate estimate(const Subject& subject, const Candidate& candidate, const Workload& workload,
                  bool with_work, double most_seconds) {
  return JobSum(subject, candidate, workload, with_work, most_seconds).run();
}

double score(const Estimate& estimate, Objective objective) {
  switch (objective) {
    case Objective::kThroughput:
      return 1 / estimate.tokens_per_second;
    case Objective::kLatency:
      return estimate.seconds_per_token;
    case Objective::kEnergy:
      return estimate.joules_per_token;
  }
  base::check_failed("known objective", "an Objective outside its enum", __FILE__, __LINE__);
}

double rank(const Estimate& estimate, Objective objective, double deadline_seconds) {
  if (deadline_seconds <= 0) return score(estimate, objective);
  const double late = estimate.seconds_per_token / deadline_seconds;
  if (late > 1) return 1e12 * late;
  return score(estimate, objective == Objective::kLatency ? Objective::kThroughput : objective);
}

}  // namespace sluice::planner
