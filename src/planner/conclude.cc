#include "planner/conclude.h"

#include <set>

#include "base/rounding.h"
#include "schedule/builder.h"

namespace sluice::planner {
namespace {

// What is worth a closer look: at most so many times the best one's value, and all of a workload of
// at most so many times the batch.
constexpr double kClose = 1.1;
constexpr double kNearlyAll = 1.3;
// Less of a gain is rounding: what the search chose stays.
constexpr double kWorthIt = 0.99;

// Whether the engine, as it stands, does what the candidate says; else why not.
std::string cannot_run(const Answer& answer) {
  const Candidate& c = answer.candidate;
  if (!schedule::find(c.policy.schedule).ok())
    return "the schedule " + c.policy.schedule + " is costed and not built";
  const ScheduleKind& kind = *find_schedule(c.policy.schedule);
  if (answer.model.family == "shape") return "the architecture is costed and not built";
  if (kind.device && c.host_weights < 1)
    return "a device whose experts come from disk is costed and not built";
  if (answer.machine.devices > 1) return "several devices are costed and not built";
  return "";
}

class Conclusion {
 public:
  Conclusion(const Question& question, const SearchOptions& options, Answer& answer)
      : question_(question), options_(options), answer_(answer) {}

  // Taken if its value is less than this share of the best one's.
  void consider(const Choice& choice, double share = 1) {
    Answer tried = answer_;
    const Subject subject = tried.subject();
    tried.candidate = choice.candidate;
    tried.estimate = choice.estimate;
    tried.replayed.reset();
    tried.why_not = cannot_run(tried);
    auto plan = plan_of(subject, choice.candidate, question_.workload);
    tried.runs = tried.why_not.empty() && plan.ok();
    if (!plan.ok() && tried.why_not.empty()) tried.why_not = plan.error().message;
    if (question_.runnable_only && !tried.runs) {
      if (!any_) answer_.why_not = tried.why_not;
      return;
    }
    if (plan.ok()) tried.plan = *plan;
    Prediction prediction{choice.estimate, std::nullopt};
    if (tried.runs && question_.replays)
      prediction = predict(subject, tried.plan, choice.estimate, question_.workload);
    const Estimate& predicted = prediction.estimate;
    tried.replayed = std::move(prediction.replayed);
    tried.seconds = predicted.seconds;
    tried.seconds_per_token = predicted.seconds_per_token;
    tried.tokens_per_second = predicted.tokens_per_second;
    const double value = rank(predicted, question_.objective, question_.deadline_seconds);
    if (tried.replayed) tried_.push_back({choice.candidate, value});
    if (any_ && value >= share * best_) return;
    any_ = true;
    best_ = value;
    answer_ = std::move(tried);
  }

  // Around what was replayed and is nearly as good as the best.
  void look_closer() {
    std::set<std::string> schedules;
    const std::vector<Tried> tried = tried_;
    for (const Tried& one : tried) {
      const plan::Policy& policy = one.candidate.policy;
      if (one.value > kClose * best_ || !find_schedule(policy.schedule)->device) continue;
      if (!schedules.insert(policy.schedule).second) continue;
      const int64_t count = one.candidate.micro_batches();
      const std::set<int64_t> counts = {count / 2, count, count + 1, 2 * count, 3 * count};
      for (const int64_t batch : batches(policy.batch)) {
        for (const int64_t micro_batches : counts) {
          if (micro_batches > 0 && (batch != policy.batch || micro_batches != count))
            look_at(one.candidate, batch, micro_batches);
        }
      }
    }
  }

  bool any() const { return any_; }

 private:
  struct Tried {
    Candidate candidate;
    double value;
  };

  std::vector<int64_t> batches(int64_t batch) const {
    const int64_t all = question_.workload.count();
    const bool nearly_all =
        batch < all && static_cast<double>(all) <= kNearlyAll * static_cast<double>(batch);
    if (question_.batch > 0 || !nearly_all) return {batch};
    return {batch, all};
  }

  void look_at(const Candidate& candidate, int64_t batch, int64_t micro_batches) {
    SearchOptions options = options_;
    options.schedules = {candidate.policy.schedule};
    options.kv_dtypes = {candidate.kv_dtype};
    options.batch = batch;
    options.micro_batch = base::div_up(batch, micro_batches);
    options.first.reset();
    const Search found = search(answer_.subject(), question_.workload, options);
    if (!found.finalists.empty()) consider(found.finalists.front(), kWorthIt);
  }

  const Question& question_;
  const SearchOptions& options_;
  Answer& answer_;
  std::vector<Tried> tried_;
  double best_ = 0;
  bool any_ = false;
};

}  // namespace

void conclude(const Question& question, const SearchOptions& options, const Search& found,
              Answer& answer) {
  Conclusion conclusion(question, options, answer);
  for (const Choice& choice : found.finalists) conclusion.consider(choice);
  if (question.micro_batch == 0) conclusion.look_closer();
  answer.costed = found.costed;
  if (!conclusion.any()) answer.candidate.policy.batch = 0;
}

}  // namespace sluice::planner
