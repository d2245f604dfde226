#include "schedule/builder.h"

#include "base/rounding.h"
#include "memory/kv_block_use.h"
#include "memory/streamed_kv_size.h"
#include "schedule/cgopipe.h"
#include "schedule/expert_fetch.h"
#include "schedule/kv_prefetch.h"
#include "schedule/layer_stream.h"
#include "schedule/resident.h"
#include "schedule/serial.h"

namespace sluice::schedule {

KvMoves& KvMoves::operator+=(const KvMoves& other) {
  blocks += other.blocks;
  arriving_blocks += other.arriving_blocks;
  leaving_tokens += other.leaving_tokens;
  leaving_blocks += other.leaving_blocks;
  parts += other.parts;
  return *this;
}

KvMoves most_kv_moves(const plan::Plan& plan) {
  if (plan.kv_window == 0) return {};
  const int64_t sequences = plan.policy.micro_batch, step = plan.kv_block_tokens;
  const int64_t leaving =
      plan.kv_tails > 0 ? memory::most_leaving_blocks(plan.max_num_tokens, sequences, step) : 0;
  const int64_t parts =
      memory::most_kv_parts(sequences, base::div_up(plan.max_seq_len, step), plan.kv_window);
  return {.blocks = parts * plan.kv_window + leaving,
          .arriving_blocks = parts * plan.kv_window,
          .leaving_tokens = plan.max_num_tokens,
          .leaving_blocks = leaving,
          .parts = parts};
}

BatchShape shape_of(const models::BatchView& batch) {
  const KvPart all = part_of(batch, 0, static_cast<int64_t>(batch.sequences.size()));
  return {.rows = batch.rows(),
          .sequences = all.sequences,
          .visible_keys = all.visible_keys,
          .context_tokens = all.context_tokens,
          .logit_rows = static_cast<int64_t>(batch.logit_rows.size())};
}

KvPart part_of(const models::BatchView& batch, int64_t first, int64_t sequences) {
  KvPart part{.first = first, .sequences = sequences};
  for (const models::SequenceRows& s :
       batch.sequences.subspan(static_cast<size_t>(first), static_cast<size_t>(sequences))) {
    part.rows += s.rows;
    part.context_tokens += s.first_position + s.rows;
    // Row r sees first_position + r + 1 keys.
    part.visible_keys += s.rows * s.first_position + s.rows * (s.rows + 1) / 2;
  }
  return part;
}

Bounds BuilderBounds::total() const {
  Bounds sum = iteration;
  return sum += expansion.times(iteration.expansions);
}

namespace {

const Resident kResident;
const Serial kSerial;
const LayerStream kLayerStream;
const ExpertFetch kExpertFetch;
const KvPrefetch kKvPrefetch;
const Cgopipe kCgopipe;
const Builder* const kBuilders[] = {&kResident,    &kSerial,     &kLayerStream,
                                    &kExpertFetch, &kKvPrefetch, &kCgopipe};

}  // namespace

std::span<const Builder* const> builders() { return kBuilders; }

Result<const Builder*> find(std::string_view name) {
  std::string known;
  for (const Builder* builder : kBuilders) {
    if (name == builder->name()) return builder;
    known += (known.empty() ? "" : ", ") + std::string(builder->name());
  }
  return Error{ErrorCode::kInvalid,
               "unknown schedule '" + std::string(name) + "'; there are: " + known};
}

}  // namespace sluice::schedule
