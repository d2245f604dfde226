// Which sequence computes which rows next: admission, continuous batching, chunked prefill,
// micro-batches. Pure decisions, no clock and no thread, so that the simulator replays the same
// program. An iteration is planned as a value (form), run by someone else, then committed
// (complete).
//
// What always holds:
// - A running sequence belongs to one micro-batch, which it may exchange for another as contexts
//   grow apart. A micro-batch has at most one iteration between form() and complete(), and a
//   sequence is in at most one of these.
// - A sequence's rows are computed in order of position, each once per residency, but for those of
//   an iteration that failed, which are computed again; what complete() has not seen is not in the
//   prefix cache.
// - First come, first served: a request is overtaken only while it is held back because a running
//   sequence is computing a prefix of it, and for at most kMaxHeldIterations iterations.
// - form() and complete() allocate nothing.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/rounding.h"
#include "memory/kv_blocks.h"
#include "scheduler/balance.h"
#include "scheduler/micro_batch.h"
#include "scheduler/sequence.h"

namespace sluice::scheduler {

enum class Admission : uint8_t {
  // Blocks for prompt and max_new_tokens are counted before a sequence starts: it is never set
  // back.
  kGuaranteed,
  // Only `reserve_fraction` of max_new_tokens is counted; when blocks run out, the youngest
  // sequence is set back.
  kOptimistic,
};

struct SchedulerLimits {
  int64_t max_batch_size = 0;    // N: sequences in flight, over all micro-batches
  int64_t micro_batch_size = 0;  // mu: of one micro-batch
  int64_t max_num_tokens = 0;    // rows of one iteration; at least mu
  int64_t max_seq_len = 0;       // prompt and generated tokens of one sequence
  int64_t max_queued = 1024;     // waiting requests, those set back included
  bool prefix_sharing = true;
  Admission admission = Admission::kGuaranteed;
  double reserve_fraction = 1.0;  // kOptimistic: 0..1
  // A chunk that begins within a block ends with it, so that a sequence has one block that is
  // begun: for who keeps those apart.
  bool one_block_begun = false;

  int64_t micro_batches() const { return base::div_up(max_batch_size, micro_batch_size); }
};

struct SequenceRequest {
  SequenceId id = 0;            // unique among those in the scheduler
  std::vector<int32_t> prompt;  // at least one token
  int64_t max_new_tokens = 0;   // 0: only the prompt is computed
  bool all_prompt_logits = false;
  // Sequences share blocks only under the same salt. Whatever else the keys and values depend on
  // must be in it: a cache salt, and with dynamic rope the prompt's length.
  uint64_t salt = 0;
};

// What came of a sampling slice.
struct Outcome {
  int32_t token = 0;
  bool ended = false;   // EOS, stop or length: the caller decides, at max_new_tokens at the latest
  bool sampled = true;  // false: the iteration failed before it came to that
};

struct SchedulerCounters {
  int64_t admitted = 0;              // sequences, the first time
  int64_t prompt_tokens = 0;         // of these
  int64_t cached_prompt_tokens = 0;  // of these, found in the prefix cache
  int64_t finished = 0;
  int64_t cancelled = 0;
  int64_t preemptions = 0;
  int64_t moved = 0;              // sequences, from one micro-batch to another
  int64_t held_back = 0;          // requests that waited for a prefix to be computed
  int64_t iterations = 0;         // of micro-batches, completed
  int64_t failed_iterations = 0;  // taken back
  int64_t computed_tokens = 0;    // rows completed, those computed again included
  int64_t generated_tokens = 0;
  int64_t sequence_slots = 0;       // sum over iterations of the micro-batch's slots
  int64_t sequence_slots_used = 0;  // of these, with rows: occupancy is used / slots
  bool operator==(const SchedulerCounters&) const = default;
};

class Scheduler {
 public:
  // Iterations formed until a request held back for a prefix is admitted all the same.
  static constexpr int64_t kMaxHeldIterations = 64;
  // Two micro-batches are balanced whose contexts differ by at most this part of the mean.
  static constexpr int64_t kBalancedParts = 4;

  // `blocks` is shared with no other scheduler and outlives this one. Limits that contradict each
  // other are a planner's bug and abort.
  Scheduler(const SchedulerLimits& limits, memory::KvBlocks& blocks);

  // Whether such a request could ever run: kInvalid or kNoRoom, with the numbers.
  Status check(int64_t prompt_tokens, int64_t max_new_tokens) const;

  // Queues a request. Refuses what check() refuses, an id that is here already, and with kNoRoom
  // what would pass max_queued.
  Status add(SequenceRequest request);

  // Room for any micro-batch of these limits.
  MicroBatch make_micro_batch() const;

  // The next iteration of the next micro-batch in turn that is not out already and has work.
  // False if there is none: idle, or complete() must come first. `out` comes from
  // make_micro_batch().
  bool form(MicroBatch& out);

  // Commits an iteration that form() gave: one outcome for each slice that samples, in order.
  void complete(const MicroBatch& batch, std::span<const Outcome> outcomes);

  // Takes an iteration back that failed: its sequences stay where they are, and their rows are
  // computed again, into the same KV slots. One outcome for each slice that samples. What had been
  // sampled is appended all the same, so that no token is lost or drawn twice; its rows, too, are
  // computed again, since their keys and values may not have reached where they stay.
  void fail(const MicroBatch& batch, std::span<const Outcome> outcomes);

  // Takes a sequence out: at once, or, if its micro-batch is out, when that completes or fails (its
  // outcome is then ignored). False if there is no such sequence.
  bool cancel(SequenceId id);

  bool idle() const { return queued() + running() == 0; }
  int64_t queued() const { return std::ssize(queue_); }
  int64_t running() const { return running_; }
  const SchedulerLimits& limits() const { return limits_; }
  const SchedulerCounters& counters() const { return counters_; }

 private:
  struct Group {                   // one micro-batch, between and during its iterations
    std::vector<int32_t> members;  // records, oldest first
    int64_t tokens = 0;            // of these, together
    int64_t slots = 0;
    bool out = false;  // between form() and complete()
    int64_t iteration = 0;
    std::vector<int32_t> slices;  // records, as in the micro-batch that is out
  };

  // admission.cc
  enum class Start : uint8_t { kStarted, kHeldBack, kNoRoom };
  void admit();
  Start start(int32_t record);
  bool still_awaits(Sequence& sequence) const;
  bool await_prefix(Sequence& sequence, int64_t found_tokens);
  void consider_awaiting(Sequence& sequence, int32_t other, int64_t& found_tokens) const;
  int64_t tokens_to_reserve(const Sequence& sequence) const;
  int64_t shareable_tokens(const Sequence& sequence) const;
  void place_window();

  // rebalance.cc
  struct Exchange {
    int32_t leaves = -1, comes = -1;  // records; none
  };
  void rebalance(int64_t group);
  Exchange best_exchange(const Group& heavy, const Group& light);
  bool may_move(const Sequence& sequence) const;
  void move_in(int32_t record, int64_t group);
  void join(int32_t record, int64_t group);
  void drop(int32_t record);
  int64_t load(int64_t group) const { return groups_[static_cast<size_t>(group)].tokens; }

  // formation.cc
  bool form_group(Group& group, MicroBatch& out);
  void place_decodes(Group& group, MicroBatch& out);
  void place_prompts(Group& group, MicroBatch& out);
  int64_t chunk_end(const Sequence& sequence, int64_t budget, bool first) const;
  bool hold_blocks(Sequence& sequence, int64_t count);
  int32_t youngest_after(const Sequence& sequence) const;
  void place(Group& group, int32_t record, int64_t end, MicroBatch& out);
  void point_tables(MicroBatch& out) const;

  // scheduler.cc
  Sequence& sequence(int32_t record) { return records_[static_cast<size_t>(record)]; }
  const Sequence& sequence(int32_t record) const { return records_[static_cast<size_t>(record)]; }
  Group& take_in(const MicroBatch& batch);
  void commit(int32_t record, const Slice& slice, const Outcome* outcome);
  void settle(int32_t record, const Outcome* outcome, bool ended);
  void advance(Sequence& sequence, const Slice& slice);
  void publish(Sequence& sequence);
  void leave(int32_t record);
  void set_back(int32_t record);
  void finish(int32_t record);

  SchedulerLimits limits_;
  memory::KvBlocks& blocks_;
  std::vector<Sequence> records_;
  std::vector<int32_t> free_records_;
  std::unordered_map<SequenceId, int32_t> by_id_;
  std::vector<int32_t> queue_;  // records, first come first
  std::vector<Group> groups_;
  std::vector<std::vector<memory::BlockId>> free_tables_;  // reserved, one per free slot
  int64_t running_ = 0;
  int64_t reserved_blocks_ = 0;  // counted for running sequences and not held yet
  int64_t turn_ = 0;
  int64_t iterations_formed_ = 0;
  uint64_t arrivals_ = 0;
  SchedulerCounters counters_;

  // Scratch, reserved to the limits.
  std::vector<int32_t> window_;
  std::vector<int64_t> window_lengths_;
  std::vector<int32_t> window_order_, window_assigned_;
  std::vector<MicroBatchLoad> loads_;
  std::vector<int32_t> exchangeable_;
  std::vector<memory::BlockId> path_;
};

}  // namespace sluice::scheduler
