#include "probe/attend_rates.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/rounding.h"
#include "kernels/ops.h"
#include "probe/memory_array.h"
#include "probe/probe.h"

namespace sluice::probe {
namespace {

constexpr int64_t kBlockTokens = 32;
constexpr int64_t kMostHeads = 8;  // query heads that share a key in the models of today
// Queries of one call: a large micro-batch's.
constexpr int64_t kMostPairs = 16384;
constexpr int64_t kMostStored = 512;  // rows, likewise

// A cache whose every key and value is the same small number: what is in it costs a kernel nothing.
class Cache {
 public:
  static Result<Cache> create(const kernels::Exec& exec, const AttendRateOptions& options,
                              kernels::KvDType dtype) {
    const kernels::KvLayout layout{.kv_heads = options.kv_heads,
                                   .key_dim = options.head_dim,
                                   .value_dim = options.head_dim,
                                   .block_tokens = static_cast<int>(kBlockTokens),
                                   .dtype = dtype};
    const int64_t blocks_each = options.context / kBlockTokens;
    const int64_t sequences =
        std::max<int64_t>(options.cache_bytes / (blocks_each * layout.block_bytes()), 2);
    const int64_t blocks = sequences * blocks_each;
    const int64_t bytes = blocks * layout.block_bytes();
    SLUICE_ASSIGN(MemoryArray memory,
                  MemoryArray::create(base::div_up(bytes, MemoryArray::kChunkBytes)));
    Cache cache(std::move(memory), layout, sequences);
    cache.blocks_.resize(static_cast<size_t>(blocks));
    std::iota(cache.blocks_.begin(), cache.blocks_.end(), 0);
    const int64_t width = int64_t{options.kv_heads} * options.head_dim;
    const std::vector<float> rows(static_cast<size_t>(kBlockTokens * width), 0.125f);
    std::vector<int64_t> slots(static_cast<size_t>(kBlockTokens));
    for (int64_t block = 0; block < blocks; ++block) {
      std::iota(slots.begin(), slots.end(), block * kBlockTokens);
      kernels::store_kv(exec, cache.view(), rows.data(), width, rows.data(), width, slots.data(),
                        kBlockTokens);
    }
    return cache;
  }
  kernels::KvLayerView view() const {
    return {layout_, reinterpret_cast<std::byte*>(memory_.chunk(0)), layout_.block_bytes()};
  }
  int64_t sequences() const { return sequences_; }
  const int32_t* blocks_of(int64_t sequence) const {
    return blocks_.data() + sequence * (std::ssize(blocks_) / sequences_);
  }

 private:
  Cache(MemoryArray memory, const kernels::KvLayout& layout, int64_t sequences)
      : memory_(std::move(memory)), layout_(layout), sequences_(sequences) {}
  MemoryArray memory_;
  kernels::KvLayout layout_;
  int64_t sequences_;
  std::vector<int32_t> blocks_;
};

hardware::AttendRate measure(const kernels::Exec& exec, const AttendRateOptions& options,
                             const Cache& cache, kernels::KvDType dtype, int64_t queries) {
  const int64_t group = std::min(queries, kMostHeads);
  const int64_t rows = queries / group;
  const int64_t heads = group * options.kv_heads;
  const int64_t width = heads * options.head_dim;
  const int64_t at_once = std::clamp<int64_t>(kMostPairs / (rows * heads), 2, cache.sequences());
  const std::vector<float> q(static_cast<size_t>(at_once * rows * width), 0.25f);
  std::vector<float> out(q.size());
  std::vector<kernels::AttendSequence> sequences(static_cast<size_t>(at_once));
  std::vector<double> rounds;
  double spent = 0.0;
  int64_t next = 0;  // the sequences take turns, so that no cache holds those that come
  do {
    for (int64_t i = 0; i < at_once; ++i, next = (next + 1) % cache.sequences()) {
      sequences[static_cast<size_t>(i)] = {.blocks = cache.blocks_of(next),
                                           .first_row = i * rows,
                                           .rows = rows,
                                           .first_position = options.context - rows};
    }
    const double start = wall_seconds();
    kernels::attend(exec, {.cache = cache.view(),
                           .sequences = sequences,
                           .q = q.data(),
                           .ld_q = width,
                           .out = out.data(),
                           .ld_out = width,
                           .q_heads = static_cast<int>(heads),
                           .scale = 0.1f});
    const double seconds = wall_seconds() - start;
    rounds.push_back(seconds);
    spent += seconds;
  } while (spent * 1000.0 < options.time_ms);
  // Row r of a sequence sees all keys but those of the rows behind it.
  const int64_t keys = rows * options.context - rows * (rows - 1) / 2;
  const double flops = static_cast<double>(at_once * heads * keys) * (4 * options.head_dim + 5);
  return {kernels::name(dtype), queries, flops / median(rounds)};
}

hardware::StoreRate measure_store(const kernels::Exec& exec, const AttendRateOptions& options,
                                  const Cache& cache, kernels::KvDType dtype, int64_t rows) {
  const int64_t width = int64_t{options.kv_heads} * options.head_dim;
  const int64_t at_once = std::clamp<int64_t>(kMostStored / rows, 2, cache.sequences());
  const std::vector<float> values(static_cast<size_t>(at_once * rows * width), 0.125f);
  std::vector<int64_t> slots(static_cast<size_t>(at_once * rows));
  std::vector<double> rounds;
  double spent = 0.0;
  int64_t next = 0, first = 0;
  do {
    for (int64_t i = 0; i < at_once; ++i, next = (next + 1) % cache.sequences()) {
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t position = first + row;
        slots[static_cast<size_t>(i * rows + row)] =
            cache.blocks_of(next)[position / kBlockTokens] * kBlockTokens + position % kBlockTokens;
      }
    }
    first = (first + rows) % (options.context - rows + 1);
    const double start = wall_seconds();
    kernels::store_kv(exec, cache.view(), values.data(), width, values.data(), width, slots.data(),
                      std::ssize(slots));
    const double seconds = wall_seconds() - start;
    rounds.push_back(seconds);
    spent += seconds;
  } while (spent * 1000.0 < options.time_ms);
  const double bytes =
      static_cast<double>(std::ssize(slots) * cache.view().layout.bytes_per_token());
  return {kernels::name(dtype), rows, bytes / median(rounds)};
}

}  // namespace

AttendRateOptions usual_attend_rates() {
  using kernels::KvDType;
  return {.formats = {KvDType::kF32, KvDType::kF16, KvDType::kBF16, KvDType::kQ8},
          .queries = {1, 2, 4, 8, 32, 128, 512},
          .rows = {1, 4, 16, 64}};
}

Result<AttendRates> measure_attend_rates(const kernels::Exec& exec,
                                         const AttendRateOptions& options) {
  AttendRates rates;
  for (const kernels::KvDType dtype : options.formats) {
    SLUICE_ASSIGN(const Cache cache, Cache::create(exec, options, dtype));
    for (const int64_t queries : options.queries)
      rates.attend.push_back(measure(exec, options, cache, dtype, queries));
    for (const int64_t rows : options.rows)
      rates.store.push_back(measure_store(exec, options, cache, dtype, rows));
  }
  std::ranges::sort(rates.attend, {}, [](const hardware::AttendRate& rate) {
    return std::tuple(rate.format, rate.queries_per_key);
  });
  std::ranges::sort(rates.store, {}, [](const hardware::StoreRate& rate) {
    return std::tuple(rate.format, rate.rows);
  });
  return rates;
}

double measure_launch_us(const kernels::Exec& exec, int time_ms) {
  const int64_t threads = exec.team->threads();
  Sink sink;
  std::vector<double> rounds;  // each for itself: a thread that is put aside stretches only its own
  double spent = 0.0;
  do {
    const double start = wall_seconds();
    exec.team->parallel_for(threads, [&](int64_t item) { sink.take(static_cast<float>(item)); });
    rounds.push_back(wall_seconds() - start);
    spent += rounds.back();
  } while (spent * 1000.0 < time_ms);
  return 1e6 * median(rounds);
}

}  // namespace sluice::probe
