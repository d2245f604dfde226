#include "planner/search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace sluice::planner {
namespace {

// Micro-batches grow one by one, then by this share; so do the counts of them. Which sizes there
// are depends on nothing else: so more of a resource only adds to what can be chosen.
constexpr int64_t kMostSequences = 1024, kMostCounts = 256;
constexpr int64_t kOneByOne = 16;
constexpr double kGrowth = 1.06;

std::vector<int64_t> sizes_up_to(int64_t most) {
  std::vector<int64_t> sizes;
  for (int64_t size = 1; size <= most;
       size = size < kOneByOne ? size + 1
                               : std::llround(std::ceil(static_cast<double>(size) * kGrowth)))
    sizes.push_back(size);
  return sizes;
}

constexpr std::array<double, 5> kKvShares = {0, 0.25, 0.5, 0.75, 1};
// Rows of one iteration: more of them give prompts' products more tokens for each expert.
constexpr std::array<int64_t, 4> kTokenLimits = {512, 1024, 2048, 4096};
// Ties go to the smaller batch: a gain must be more than rounding.
constexpr double kGain = 1 - 1e-6;

class Walk {
 public:
  Walk(const Subject& subject, const Workload& workload, const SearchOptions& options)
      : subject_(subject), workload_(workload), options_(options) {
    micro_batches_ = sizes_up_to(kMostSequences);
    counts_ = sizes_up_to(kMostCounts);
    if (options.micro_batch > 0) micro_batches_ = {options.micro_batch};
  }

  Search run() {
    for (const ScheduleKind& kind : schedule_kinds()) {
      if (!wanted(kind)) continue;
      for (const kernels::KvDType kv : options_.kv_dtypes) grid(kind, kv);
    }
    return std::move(found_);
  }

 private:
  bool wanted(const ScheduleKind& kind) const {
    if (kind.device && !subject_.machine.has_device()) return false;
    const auto& names = options_.schedules;
    if (!names.empty()) return std::find(names.begin(), names.end(), kind.name) != names.end();
    if (kind.prompts_first || kind.overlap == Overlap::kNone) return false;
    if (kind.device) return true;
    if (kind.moves) return subject_.machine.has_disk() && subject_.weights.fit.pages > 0;
    return true;
  }

  void grid(const ScheduleKind& kind, kernels::KvDType kv) {
    const bool device = kind.device;
    for (const plan::Place experts : {plan::Place::kDevice, plan::Place::kHost}) {
      if (!device && experts == plan::Place::kDevice) continue;
      if (device && experts == plan::Place::kHost && !options_.experts_on_host) continue;
      best_of_kind_.reset();
      Candidate candidate;
      candidate.policy.schedule = kind.name;
      candidate.policy.attention_on = device ? kind.attention_on : plan::Place::kHost;
      candidate.policy.experts_on = experts;
      candidate.kv_dtype = kv;
      candidate.quant = options_.quant;
      const bool kv_on_device = candidate.policy.attention_on == plan::Place::kDevice;
      for (const double share : kKvShares) {
        if (!kv_on_device && share > 0) break;
        candidate.policy.resident_kv = share;
        for (const int64_t tokens : token_limits(kind)) {
          candidate.max_num_tokens = tokens;
          sizes(candidate);
        }
      }
      if (best_of_kind_) keep(*best_of_kind_);
    }
  }

  // With a device micro-batches are large enough; prompts that are computed first have one size.
  std::span<const int64_t> token_limits(const ScheduleKind& kind) const {
    if (options_.max_num_tokens > 0) return {&options_.max_num_tokens, 1};
    return std::span(kTokenLimits).first(kind.device ? 1 : kTokenLimits.size());
  }

  void sizes(Candidate candidate) {
    for (const int64_t sequences : micro_batches_) {
      bool any = false;
      for (const int64_t count : counts_) {
        candidate.policy.batch = options_.batch > 0 ? options_.batch : sequences * count;
        if (candidate.policy.batch > most_sequences()) break;
        candidate.policy.micro_batch = std::min(sequences, candidate.policy.batch);
        // What has no room has none with more micro-batches either.
        if (!consider(candidate)) break;
        any = true;
        if (options_.batch > 0) break;
      }
      if (!any) break;
    }
  }

  // Larger batches than the workload fills are all the same.
  int64_t most_sequences() const {
    return std::max<int64_t>(std::min(options_.most_sequences, workload_.count()), 1);
  }

  // Costs a candidate, once its shares are settled; false if it has no room.
  bool consider(Candidate candidate) {
    // Decoding leaves room for prompts.
    candidate.max_num_tokens =
        std::max(candidate.max_num_tokens,
                 candidate.policy.micro_batch * (options_.max_num_tokens > 0 ? 1 : 2));
    const auto shortage = options_.settle ? options_.settle(subject_, workload_, candidate)
                                          : settle(subject_, workload_, candidate);
    if (shortage) {
      ++found_.without_room;
      if (!found_.nearest || shortage->bytes < found_.nearest->bytes) found_.nearest = shortage;
      return false;
    }
    double& near = candidate.policy.resident_weights;
    near = std::min(near, options_.most_resident_weights);
    if (!find_schedule(candidate.policy.schedule)->device)
      candidate.host_weights = std::min(candidate.host_weights, options_.most_resident_weights);
    const bool shares = candidate.policy.experts_on == plan::Place::kHost &&
                        find_schedule(candidate.policy.schedule)->device;
    if (shares) balance(candidate);
    ++found_.costed;
    const Choice choice{candidate, estimate(subject_, candidate, workload_)};
    if (!best_of_kind_ || rank(choice) < rank(*best_of_kind_) * kGain) best_of_kind_ = choice;
    return true;
  }

  // Experts that are computed where they lie: on the device as many as find room there, unless the
  // host, which computes the others, would wait for it. Both lanes' times are lines in the share.
  void balance(Candidate& candidate) const {
    const double most = candidate.policy.resident_weights;
    Candidate none = candidate;
    none.policy.resident_weights = 0;
    const Estimate low = estimate(subject_, none, workload_);
    const Estimate high = estimate(subject_, candidate, workload_);
    const auto lead = [](const Estimate& e) {  // of the device over the host
      return e.pass.lanes[static_cast<size_t>(schedule::Lane::kDeviceCompute)] -
             e.pass.lanes[static_cast<size_t>(schedule::Lane::kHostCompute)];
    };
    if (lead(high) <= 0 || lead(high) <= lead(low)) return;
    const double share = -lead(low) / (lead(high) - lead(low));
    candidate.policy.resident_weights = most * std::clamp(share, 0.0, 1.0);
  }

  double rank(const Choice& choice) const {
    return planner::rank(choice.estimate, options_.objective, options_.deadline_seconds);
  }

  void keep(const Choice& choice) {
    auto& list = found_.finalists;
    // Of equals the one that was found first comes first.
    auto at = list.end();
    while (at != list.begin() && rank(choice) < rank(*(at - 1))) --at;
    list.insert(at, choice);
    if (list.size() > options_.finalists) list.pop_back();
  }

  const Subject& subject_;
  const Workload& workload_;
  const SearchOptions& options_;
  std::vector<int64_t> micro_batches_, counts_;
  std::optional<Choice> best_of_kind_;
  Search found_;
};

}  // namespace

Search search(const Subject& subject, const Workload& workload, const SearchOptions& options) {
  return Walk(subject, workload, options).run();
}

}  // namespace sluice::planner
