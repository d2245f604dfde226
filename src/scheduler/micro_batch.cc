#include "scheduler/micro_batch.h"

namespace sluice::scheduler {

void MicroBatch::reserve(int64_t slice_count, int64_t rows, int64_t table_blocks) {
  const auto n = static_cast<size_t>(slice_count);
  const auto r = static_cast<size_t>(rows);
  slices.reserve(n);
  sequences.reserve(n);
  block_tables.reserve(n * static_cast<size_t>(table_blocks));
  token_ids.reserve(r);
  positions.reserve(r);
  kv_slots.reserve(r);
  logit_rows.reserve(r);
}

void MicroBatch::clear() {
  slices.clear();
  sequences.clear();
  block_tables.clear();
  token_ids.clear();
  positions.clear();
  kv_slots.clear();
  logit_rows.clear();
}

}  // namespace sluice::scheduler
