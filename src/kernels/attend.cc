// Attention, flash-style. The pairs (query row, query head) that share a KV head are the rows of
// two small matrix products per block of kKeyBlock keys: scores = q K, out += p V. Between them
// each row updates its own running maximum. Splits of kAttendSplit keys start afresh and are folded
// in order; all boundaries are absolute positions, so a row's bits are its own.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "kernels/gemm_tiles.h"
#include "kernels/ops.h"

namespace sluice::kernels {
namespace {

constexpr int64_t kItemRows = 192;                // pairs of an item, for small heads
constexpr int64_t kItemFloats = kItemRows * 128;  // of their outputs, on the stack

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Pairs of an item: many, because each item reads all keys and values that they see; but enough
// items for the team.
int64_t rows_of_item(int value_dim, int64_t pairs, int threads) {
  const int64_t most = std::min(kItemRows, kItemFloats / round_up(value_dim, 16));
  const int64_t share = pairs / (kItemsPerThread * threads);
  return std::clamp<int64_t>(round_up(share, kMaxTileTokens), kMaxTileTokens, most);
}

int64_t splits_of(int64_t keys) { return (keys + kAttendSplit - 1) / kAttendSplit; }

// What one row has gathered: weights relative to `max`, their sum, and an output not yet divided.
struct Partial {
  float max;
  float sum;
};

// Some pairs of one sequence that share a KV head.
struct Item {
  const AttendSequence* sequence;
  int64_t kv_head;
  int64_t first_pair;
  int64_t pairs;
};

class ItemRun {
 public:
  ItemRun(const Exec& exec, const AttendArgs& args, const Item& item)
      : ops_(*exec.ops),
        args_(args),
        layout_(args.cache.layout),
        item_(item),
        group_(args.q_heads / layout_.kv_heads),
        padded_(round_up(layout_.value_dim, 16)) {
    for (int64_t i = 0; i < item.pairs; ++i) {
      const int64_t pair = item.first_pair + i;
      q_[i] = args.q + (item.sequence->first_row + pair / group_) * args.ld_q +
              (item.kv_head * group_ + pair % group_) * layout_.key_dim;
    }
  }

  int64_t visible(int64_t i) const {
    return item_.sequence->first_position + (item_.first_pair + i) / group_ + 1;
  }

  // Attends to the keys of one split; afterwards output(i) and partial(i) of rows that see any.
  void run_split(int64_t split);

  int64_t first_seeing(int64_t key) const {
    int64_t i = 0;
    while (i < item_.pairs && visible(i) <= key) ++i;
    return i;
  }

  float* output(int64_t i) { return out_ + i * padded_; }
  Partial partial(int64_t i) const {
    float v[16];
    std::copy(state_[i].sum, state_[i].sum + 16, v);
    for (int width = 8; width > 0; width /= 2)
      for (int lane = 0; lane < width; ++lane) v[lane] = v[lane] + v[lane + width];
    return {state_[i].max, v[0]};
  }

 private:
  static constexpr auto kF32 = static_cast<size_t>(tensor::DType::kF32);

  const float* head_of(int64_t key) const {
    const int64_t block = item_.sequence->blocks[key / layout_.block_tokens];
    return reinterpret_cast<const float*>(args_.cache.base + block * args_.cache.block_stride) +
           item_.kv_head * layout_.head_elements();
  }
  void run_tile(int64_t first_key, int64_t first, int64_t count);
  void score(int64_t first_key, int64_t keys, int64_t first, int64_t count);
  void weigh(int64_t first_key, int64_t keys, const float* const* weights, int64_t first,
             int64_t count);
  void weigh_panels(const float* values, int64_t ld_values, int64_t dim,
                    const float* const* weights, int64_t keys, float* out, int64_t count);

  const OpTable& ops_;
  const AttendArgs& args_;
  const KvLayout& layout_;
  const Item& item_;
  const int64_t group_;
  const int64_t padded_;
  const float* q_[kItemRows];
  SoftmaxState state_[kItemRows];
  alignas(64) float scores_[kMaxTileTokens * kKeyBlock];
  alignas(64) float out_[kItemFloats];
};

void ItemRun::run_split(int64_t split) {
  const int64_t first_key = split * kAttendSplit;
  const int64_t last_key = std::min(first_key + kAttendSplit, visible(item_.pairs - 1));
  for (int64_t i = first_seeing(first_key); i < item_.pairs; ++i) {
    state_[i].max = -std::numeric_limits<float>::infinity();
    std::fill(state_[i].sum, state_[i].sum + 16, 0.0f);
    std::fill(output(i), output(i) + padded_, 0.0f);
  }
  for (int64_t key = first_key; key < last_key; key += kKeyBlock) {
    const int64_t from = first_seeing(key);
    const int64_t rows = item_.pairs - from;
    const int64_t tiles = (rows + ops_.max_tile_tokens - 1) / ops_.max_tile_tokens;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t first = rows * tile / tiles;
      run_tile(key, from + first, rows * (tile + 1) / tiles - first);
    }
  }
}

// Rows [first, first + count) and the keys of one block; each row sees at least one of them.
void ItemRun::run_tile(int64_t first_key, int64_t first, int64_t count) {
  const auto seen = [&](int64_t i) {
    return std::min<int64_t>(visible(first + i) - first_key, kKeyBlock);
  };
  const int64_t most = seen(count - 1);
  score(first_key, most, first, count);
  const float* weights[kMaxTileTokens];
  for (int64_t i = 0; i < count; ++i) {
    weights[i] = scores_ + i * kKeyBlock;
    const float factor =
        ops_.softmax_block(scores_ + i * kKeyBlock, seen(i), args_.scale, &state_[first + i]);
    if (factor != 1.0f) ops_.scale_row(output(first + i), padded_, factor);
  }
  if (seen(0) == most) return weigh(first_key, most, weights, first, count);
  for (int64_t i = 0; i < count; ++i) weigh(first_key, seen(i), weights + i, first + i, 1);
}

// scores_[i] = q . k, lanes beyond `keys` undefined.
void ItemRun::score(int64_t first_key, int64_t keys, int64_t first, int64_t count) {
  const std::byte* panels[kKeyBlock / 16];
  const int64_t tiles = (keys + 15) / 16;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t key = first_key + i * 16;
    panels[i] = reinterpret_cast<const std::byte*>(head_of(key) +
                                                   key % layout_.block_tokens * layout_.key_dim);
  }
  for (int64_t i = 0; i < tiles;) {
    const int log2 =
        tile_panels_log2(ops_, tensor::DType::kF32, static_cast<int>(count), tiles - i);
    ops_.gemm[kF32][log2][count](panels + i, 16 * sizeof(float), q_ + first, layout_.key_dim,
                                 scores_ + i * 16, kKeyBlock, false);
    i += int64_t{1} << log2;
  }
}

// output += weights . values, one run of keys per cache block.
void ItemRun::weigh(int64_t first_key, int64_t keys, const float* const* weights, int64_t first,
                    int64_t count) {
  const int64_t dim = layout_.value_dim;
  const int64_t whole = dim / 16 * 16;
  for (int64_t at = 0; at < keys;) {
    const int64_t offset = (first_key + at) % layout_.block_tokens;
    const int64_t run = std::min(keys - at, layout_.block_tokens - offset);
    const float* values =
        head_of(first_key + at) + int64_t{layout_.block_tokens} * layout_.key_dim + offset * dim;
    const float* rows[kMaxTileTokens];
    for (int64_t i = 0; i < count; ++i) rows[i] = weights[i] + at;
    weigh_panels(values, dim, whole, rows, run, output(first), count);
    if (whole < dim) {
      alignas(64) float tail[kKeyBlock * 16];
      for (int64_t k = 0; k < run; ++k)
        for (int64_t i = 0; i < 16; ++i)
          tail[k * 16 + i] = whole + i < dim ? values[k * dim + whole + i] : 0.0f;
      weigh_panels(tail, 16, 16, rows, run, output(first) + whole, count);
    }
    at += run;
  }
}

void ItemRun::weigh_panels(const float* values, int64_t ld_values, int64_t dim,
                           const float* const* weights, int64_t keys, float* out, int64_t count) {
  const std::byte* panels[kMaxTilePanels];
  for (int64_t panel = 0; panel < dim / 16;) {
    const int log2 =
        tile_panels_log2(ops_, tensor::DType::kF32, static_cast<int>(count), dim / 16 - panel);
    const int64_t size = int64_t{1} << log2;
    for (int64_t p = 0; p < size; ++p)
      panels[p] = reinterpret_cast<const std::byte*>(values + (panel + p) * 16);
    ops_.gemm[kF32][log2][count](panels, ld_values * int64_t{sizeof(float)}, weights, keys,
                                 out + panel * 16, padded_, true);
    panel += size;
  }
}

// Folds the next split into what the former ones gave.
void fold(const OpTable& ops, Partial* total, float* total_out, const Partial& next,
          const float* next_out, int64_t dim) {
  const float top = std::max(total->max, next.max);
  const float a = ops.exp(total->max - top);
  const float b = ops.exp(next.max - top);
  total->max = top;
  total->sum = total->sum * a + next.sum * b;
  ops.merge_row(total_out, a, next_out, b, dim);
}

float* out_row(const AttendArgs& args, const Item& item, int64_t group, int64_t pair) {
  return args.out + (item.sequence->first_row + pair / group) * args.ld_out +
         (item.kv_head * group + pair % group) * args.cache.layout.value_dim;
}

// All splits of the item's rows, one after another, folded in the output.
void run_whole(const Exec& exec, const AttendArgs& args, const Item& item) {
  const int64_t dim = args.cache.layout.value_dim;
  const int64_t group = args.q_heads / args.cache.layout.kv_heads;
  ItemRun run(exec, args, item);
  Partial total[kItemRows];
  const int64_t splits = splits_of(run.visible(item.pairs - 1));
  for (int64_t split = 0; split < splits; ++split) {
    run.run_split(split);
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

// body(item, rows of earlier sequences, part) for every item of the call, times the parts of its
// sequence.
template <class Parts, class Body>
void over_items(const Exec& exec, const AttendArgs& args, const Parts& parts_of, const Body& body) {
  const KvLayout& layout = args.cache.layout;
  const int64_t group = args.q_heads / layout.kv_heads;
  const int64_t most =
      rows_of_item(layout.value_dim, total_rows(args) * args.q_heads, exec.team->threads());
  const auto tiles_of = [&](const AttendSequence& s) { return (s.rows * group + most - 1) / most; };
  int64_t items = 0;
  for (const AttendSequence& s : args.sequences)
    items += tiles_of(s) * layout.kv_heads * parts_of(s);
  exec.team->parallel_for(items, [&](int64_t index) {
    int64_t rows_before = 0;
    for (const AttendSequence& s : args.sequences) {
      const int64_t parts = parts_of(s);
      const int64_t here = tiles_of(s) * layout.kv_heads * parts;
      if (index < here) {
        const int64_t tile = index / parts / layout.kv_heads;
        const int64_t first = tile * most;
        const Item item{&s, index / parts % layout.kv_heads, first,
                        std::min(most, s.rows * group - first)};
        return body(item, rows_before, index % parts);
      }
      index -= here;
      rows_before += s.rows;
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
  const auto place = [&](const Item& item, int64_t rows_before, int64_t pair, int64_t split) {
    const int64_t row = rows_before + pair / group;
    const int64_t head = item.kv_head * group + pair % group;
    return args.scratch + ((row * args.q_heads + head) * splits + split) * (dim + 2);
  };
  const auto parts = [](const AttendSequence& s) { return splits_of(s.first_position + s.rows); };
  over_items(exec, args, parts, [&](const Item& item, int64_t rows_before, int64_t split) {
    ItemRun run(exec, args, item);
    const int64_t from = run.first_seeing(split * kAttendSplit);
    if (from == item.pairs) return;
    run.run_split(split);
    for (int64_t i = from; i < item.pairs; ++i) {
      float* to = place(item, rows_before, item.first_pair + i, split);
      const Partial partial = run.partial(i);
      to[0] = partial.max;
      to[1] = partial.sum;
      std::copy(run.output(i), run.output(i) + dim, to + 2);
    }
  });
  const auto once = [](const AttendSequence&) { return int64_t{1}; };
  over_items(exec, args, once, [&](const Item& item, int64_t rows_before, int64_t) {
    for (int64_t pair = item.first_pair; pair < item.first_pair + item.pairs; ++pair) {
      const float* from = place(item, rows_before, pair, 0);
      float* out = out_row(args, item, group, pair);
      Partial total{from[0], from[1]};
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
  SLUICE_CHECK(layout.dtype == tensor::DType::kF32, "the KV cache is f32");
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
             [&](const Item& item, int64_t, int64_t) { run_whole(exec, args, item); });
}

}  // namespace sluice::kernels
