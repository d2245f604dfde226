// Attention, flash-style. Splits of kAttendSplit keys start afresh and are folded in order; all
// boundaries are absolute positions, so a row's bits are its own.
#include <algorithm>

#include "base/check.h"
#include "kernels/attend_item.h"

namespace sluice::kernels {
namespace {

// Pairs of an item: many, because each item reads all keys and values that they see; but enough
// items for the team.
int64_t rows_of_item(int value_dim, int64_t pairs, int threads) {
  const int64_t most = std::min(kAttendItemRows, kAttendItemFloats / round_up(value_dim, 16));
  const int64_t share = pairs / (kItemsPerThread * threads);
  return std::clamp<int64_t>(round_up(share, kMaxTileTokens), kMaxTileTokens, most);
}

int64_t splits_of(int64_t keys) { return (keys + kAttendSplit - 1) / kAttendSplit; }

// Folds the next split into what the former ones gave.
void fold(const OpTable& ops, AttendPartial* total, float* total_out, const AttendPartial& next,
          const float* next_out, int64_t dim) {
  const float top = std::max(total->max, next.max);
  const float a = ops.exp(total->max - top);
  const float b = ops.exp(next.max - top);
  total->max = top;
  total->sum = total->sum * a + next.sum * b;
  ops.merge_row(total_out, a, next_out, b, dim);
}

float* out_row(const AttendArgs& args, const AttendItem& item, int64_t group, int64_t pair) {
  return args.out + (item.sequence->first_row + pair / group) * args.ld_out +
         (item.kv_head * group + pair % group) * args.cache.layout.value_dim;
}

// All splits of the item's rows, one after another, folded in the output.
void run_whole(const Exec& exec, const AttendArgs& args, const AttendItem& item) {
  const int64_t dim = args.cache.layout.value_dim;
  const int64_t group = args.q_heads / args.cache.layout.kv_heads;
  AttendItemRun run(exec, args, item);
  AttendPartial total[kAttendItemRows];
  const int64_t splits = splits_of(run.visible(item.pairs - 1));
  for (int64_t split = 0; split < splits; ++split) {
    const bool last = split + 1 == splits;
    run.run_split(split, last && item.head_follows ? std::optional<int64_t>(0) : std::nullopt);
    for (int64_t i = run.first_seeing(split * kAttendSplit); i < item.pairs; ++i) {
      float* out = out_row(args, item, group, item.first_pair + i);
      if (split == 0) {
        total[i] = run.partial(i);
        std::copy(run.output(i), run.output(i) + dim, out);
      } else {
        fold(*exec.ops, &total[i], out, run.partial(i), run.output(i), dim);
      }
    }
  }
  for (int64_t i = 0; i < item.pairs; ++i)
    exec.ops->scale_row(out_row(args, item, group, item.first_pair + i), dim, 1.0f / total[i].sum);
}

int64_t total_rows(const AttendArgs& args) {
  int64_t rows = 0;
  for (const AttendSequence& s : args.sequences) rows += s.rows;
  return rows;
}

// Of KV heads that one thread does one after the other: their keys lie side by side, so it can ask
// for those of the next. A divisor of `kv_heads`, and items enough for the team remain.
int64_t heads_at_once(int64_t kv_heads, int64_t items, int threads) {
  int64_t heads = 1;
  while (heads < 8 && kv_heads % (2 * heads) == 0 &&
         items / (2 * heads) >= 4 * kItemsPerThread * threads)
    heads *= 2;
  return heads;
}

// body(item, rows of earlier sequences, part) for every item of the call, times the parts of its
// sequence.
template <class Parts, class Body>
void over_items(const Exec& exec, const AttendArgs& args, const Parts& parts_of, const Body& body) {
  const KvLayout& layout = args.cache.layout;
  const int64_t group = args.q_heads / layout.kv_heads;
  const int64_t most =
      rows_of_item(layout.value_dim, total_rows(args) * args.q_heads, exec.team->threads());
  const auto tiles_of = [&](const AttendSequence& s) { return (s.rows * group + most - 1) / most; };
  int64_t all = 0;
  for (const AttendSequence& s : args.sequences) all += tiles_of(s) * layout.kv_heads * parts_of(s);
  const int64_t heads = heads_at_once(layout.kv_heads, all, exec.team->threads());
  const int64_t groups = layout.kv_heads / heads;
  // The sequence whose items are handed out, and what came before it: hundreds of sequences have
  // thousands of items, so none is looked for from the first on.
  struct Place {
    size_t sequence = 0;
    int64_t items = 0, rows = 0;
  };
  exec.team->parallel_for(all / heads, Place{}, [&](Place& before, int64_t index) {
    const auto items_of = [&](const AttendSequence& s) {
      return tiles_of(s) * groups * parts_of(s);
    };
    const AttendSequence* s = &args.sequences[before.sequence];
    for (int64_t here = items_of(*s); index - before.items >= here; here = items_of(*s)) {
      before = {before.sequence + 1, before.items + here, before.rows + s->rows};
      s = &args.sequences[before.sequence];
    }
    const int64_t parts = parts_of(*s), mine = index - before.items;
    const int64_t first = mine / parts / groups * most;
    const int64_t pairs = std::min(most, s->rows * group - first);
    const int64_t first_head = mine / parts % groups * heads;
    for (int64_t head = first_head; head < first_head + heads; ++head) {
      const AttendItem item{s, head, first, pairs, head + 1 < first_head + heads};
      body(item, before.rows, mine % parts);
    }
  });
}

int64_t most_splits(const AttendArgs& args) {
  int64_t splits = 0;
  for (const AttendSequence& s : args.sequences)
    if (s.rows > 0) splits = std::max(splits, splits_of(s.first_position + s.rows));
  return splits;
}

// Few rows with long contexts: splits run in parallel and leave their partial results in the
// scratch, [row][q head][split][max, sum, value_dim].
void attend_by_splits(const Exec& exec, const AttendArgs& args, int64_t splits) {
  const int64_t dim = args.cache.layout.value_dim;
  const int64_t group = args.q_heads / args.cache.layout.kv_heads;
  const auto place = [&](const AttendItem& item, int64_t rows_before, int64_t pair, int64_t split) {
    const int64_t row = rows_before + pair / group;
    const int64_t head = item.kv_head * group + pair % group;
    return args.scratch + ((row * args.q_heads + head) * splits + split) * (dim + 2);
  };
  const auto parts = [](const AttendSequence& s) { return splits_of(s.first_position + s.rows); };
  over_items(exec, args, parts, [&](const AttendItem& item, int64_t rows_before, int64_t split) {
    AttendItemRun run(exec, args, item);
    const int64_t from = run.first_seeing(split * kAttendSplit);
    if (from == item.pairs) return;
    const int64_t first_key = split * kAttendSplit;
    run.run_split(split, item.head_follows ? std::optional<int64_t>(first_key) : std::nullopt);
    for (int64_t i = from; i < item.pairs; ++i) {
      float* to = place(item, rows_before, item.first_pair + i, split);
      const AttendPartial partial = run.partial(i);
      to[0] = partial.max;
      to[1] = partial.sum;
      std::copy(run.output(i), run.output(i) + dim, to + 2);
    }
  });
  const auto once = [](const AttendSequence&) { return int64_t{1}; };
  over_items(exec, args, once, [&](const AttendItem& item, int64_t rows_before, int64_t) {
    for (int64_t pair = item.first_pair; pair < item.first_pair + item.pairs; ++pair) {
      const float* from = place(item, rows_before, pair, 0);
      float* out = out_row(args, item, group, pair);
      AttendPartial total{from[0], from[1]};
      std::copy(from + 2, from + 2 + dim, out);
      const int64_t mine = splits_of(item.sequence->first_position + pair / group + 1);
      for (int64_t split = 1; split < mine; ++split) {
        const float* next = from + split * (dim + 2);
        fold(*exec.ops, &total, out, {next[0], next[1]}, next + 2, dim);
      }
      exec.ops->scale_row(out, dim, 1.0f / total.sum);
    }
  });
}

}  // namespace

int64_t attend_scratch_floats(int64_t rows, int q_heads, int value_dim, int64_t max_context) {
  const int64_t splits = splits_of(max_context);
  if (splits <= 1) return 0;
  return std::min(rows, kMaxSplitRows) * q_heads * splits * (int64_t{value_dim} + 2);
}

void attend(const Exec& exec, const AttendArgs& args) {
  const KvLayout& layout = args.cache.layout;
  SLUICE_CHECK(layout.block_tokens % 16 == 0, "a block of the KV cache is whole sixteens of keys");
  SLUICE_CHECK(layout.kv_heads > 0 && args.q_heads % layout.kv_heads == 0,
               "query heads are a multiple of the KV heads");
  SLUICE_CHECK(layout.value_dim >= 1 && layout.value_dim <= kMaxValueDim,
               "value_dim within limits");
  const int64_t splits = most_splits(args);
  const int64_t rows = total_rows(args);
  if (args.scratch != nullptr && splits > 1 && rows <= kMaxSplitRows && exec.team->threads() > 1) {
    return attend_by_splits(exec, args, splits);
  }
  const auto once = [](const AttendSequence&) { return int64_t{1}; };
  over_items(exec, args, once,
             [&](const AttendItem& item, int64_t, int64_t) { run_whole(exec, args, item); });
}

}  // namespace sluice::kernels
