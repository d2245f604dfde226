#include "planner/search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
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

// Every so manieth, from the first on.
std::vector<int64_t> every(const std::vector<int64_t>& sizes, int stride) {
  std::vector<int64_t> some;
  for (size_t i = 0; i < sizes.size(); i += static_cast<size_t>(stride)) some.push_back(sizes[i]);
  return some;
}

// Those that lie closer to this one than `stride` of them.
std::vector<int64_t> around(const std::vector<int64_t>& sizes, int64_t size, int stride) {
  const auto middle = std::lower_bound(sizes.begin(), sizes.end(), size) - sizes.begin();
  const auto first = std::max<std::ptrdiff_t>(middle - stride + 1, 0);
  const auto last = std::min<std::ptrdiff_t>(middle + stride, std::ssize(sizes));
  return {sizes.begin() + first, sizes.begin() + last};
}

constexpr std::array<double, 5> kKvShares = {0, 0.25, 0.5, 0.75, 1};
// Rows of one iteration: more of them give prompts' products more tokens for each expert.
constexpr std::array<int64_t, 4> kTokenLimits = {512, 1024, 2048, 4096};
// Ties go to the smaller batch: a gain must be more than rounding.
constexpr double kGain = 1 - 1e-6;
constexpr double kEndless = std::numeric_limits<double>::infinity();

class Walk {
 public:
  Walk(const Subject& subject, const Workload& workload, const SearchOptions& options)
      : subject_(subject), workload_(workload), options_(options) {
    all_micro_batches_ = sizes_up_to(kMostSequences);
    all_counts_ = sizes_up_to(kMostCounts);
    if (options.micro_batch > 0) all_micro_batches_ = {options.micro_batch};
    micro_batches_ = every(all_micro_batches_, options.stride);
    counts_ = every(all_counts_, options.stride);
  }

  Search run() {
    if (options_.first) begin_with(*options_.first);
    for (const ScheduleKind& kind : schedule_kinds()) {
      if (!wanted(kind)) continue;
      for (const kernels::KvDType kv : options_.kv_dtypes) grid(kind, kv);
    }
    if (options_.stride > 1) {
      const std::vector<Choice> coarse = found_.finalists;
      for (const Choice& choice : coarse) look_around(choice.candidate);
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

  std::vector<plan::Place> places(const ScheduleKind& kind) const {
    if (!kind.device) return {plan::Place::kHost};
    std::vector<plan::Place> places = options_.experts_on;
    if (!kind.by_expert) std::erase(places, plan::Place::kAuto);
    return places;
  }

  void begin_with(const Candidate& candidate) {
    const ScheduleKind& kind = *find_schedule(candidate.policy.schedule);
    const auto& dtypes = options_.kv_dtypes;
    if (!wanted(kind) || candidate.policy.batch > most_sequences() ||
        std::find(dtypes.begin(), dtypes.end(), candidate.kv_dtype) == dtypes.end())
      return;
    open(kind);
    consider(candidate);
    close();
  }

  void look_around(const Candidate& best) {
    micro_batches_ = around(all_micro_batches_, best.policy.micro_batch, options_.stride);
    counts_ = around(all_counts_, best.micro_batches(), options_.stride);
    grid(*find_schedule(best.policy.schedule), best.kv_dtype);
  }

  void open(const ScheduleKind& kind) {
    places_ = places(kind);
    best_.assign(places_.size(), std::nullopt);
  }
  void close() {
    for (const std::optional<Choice>& best : best_)
      if (best) keep(*best);
  }

  void grid(const ScheduleKind& kind, kernels::KvDType kv) {
    open(kind);
    Candidate candidate;
    candidate.policy.schedule = kind.name;
    candidate.policy.attention_on = kind.attention_on;
    candidate.kv_dtype = kv;
    candidate.quant = options_.quant;
    // Of the cache, on the device or, where the host attends, in memory, the rest on disk.
    const bool on_device = candidate.policy.attention_on == plan::Place::kDevice;
    const bool on_disk = options_.kv_on_disk && subject_.machine.has_disk();
    const bool asked = options_.resident_kv && (on_device || on_disk);
    for (const double share : kKvShares) {
      if (share > 0 && (asked || (!on_device && !on_disk))) break;
      candidate.policy.resident_kv = on_device ? share : 1 - share;
      if (asked) candidate.policy.resident_kv = *options_.resident_kv;
      for (const int64_t tokens : token_limits(kind)) {
        candidate.max_num_tokens = tokens;
        sizes(candidate);
      }
    }
    close();
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
      // Larger ones have none either, but where there are then fewer of them.
      if (!any && options_.batch == 0) break;
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
    cost(candidate);
    return true;
  }

  // With its experts in each place: they take the same room, but for slots that none comes to.
  void cost(const Candidate& candidate) {
    const bool device = find_schedule(candidate.policy.schedule)->device;
    std::optional<Estimate> on_device;
    for (size_t i = 0; i < places_.size(); ++i) {
      Choice choice{candidate, {}};
      choice.candidate.policy.experts_on = places_[i];
      if (device && places_[i] == plan::Place::kHost)
        choice.candidate.policy.resident_weights = least_share(subject_);
      std::optional<Choice>& best = best_[i];
      const double most = best && by_seconds() ? best->estimate.seconds : kEndless;
      if (places_[i] == plan::Place::kAuto && on_device && by_seconds()) {
        // What host and disk have to do, the host's part in the experts comes on top of.
        if (on_device->floor_seconds > most || on_device->floor_seconds == on_device->seconds)
          continue;
      }
      ++found_.costed;
      choice.estimate = estimate(subject_, choice.candidate, workload_, false, most);
      if (places_[i] == plan::Place::kDevice) on_device = choice.estimate;
      if (!best || rank(choice) < rank(*best) * kGain) best = std::move(choice);
    }
  }

  // Whether who takes longer cannot be the best.
  bool by_seconds() const {
    return options_.objective == Objective::kThroughput && options_.deadline_seconds <= 0;
  }

  double rank(const Choice& choice) const {
    return planner::rank(choice.estimate, options_.objective, options_.deadline_seconds);
  }

  static bool same_kind(const Candidate& a, const Candidate& b) {
    return a.policy.schedule == b.policy.schedule && a.kv_dtype == b.kv_dtype &&
           a.policy.experts_on == b.policy.experts_on;
  }

  // One of each kind.
  void keep(const Choice& choice) {
    auto& list = found_.finalists;
    const auto same = std::find_if(list.begin(), list.end(), [&](const Choice& kept) {
      return same_kind(kept.candidate, choice.candidate);
    });
    if (same != list.end()) {
      if (rank(*same) <= rank(choice)) return;
      list.erase(same);
    }
    // Of equals the one that was found first comes first.
    auto at = list.end();
    while (at != list.begin() && rank(choice) < rank(*(at - 1))) --at;
    list.insert(at, choice);
    if (list.size() > options_.finalists) list.pop_back();
  }

  const Subject& subject_;
  const Workload& workload_;
  const SearchOptions& options_;
  std::vector<int64_t> all_micro_batches_, all_counts_;
  std::vector<int64_t> micro_batches_, counts_;  // of them, those of the grid
  std::vector<plan::Place> places_;              // of the schedule at hand
  std::vector<std::optional<Choice>> best_;      // of each of them
  Search found_;
};

}  // namespace

Search search(const Subject& subject, const Workload& workload, const SearchOptions& options) {
  return Walk(subject, workload, options).run();
}

}  // namespace sluice::planner
