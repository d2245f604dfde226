#include "probe/memory_rates.h"

#include <algorithm>
#include <cstring>

#include "base/numa.h"
#include "kernels/op_table.h"
#include "probe/memory_array.h"
#include "probe/probe.h"

namespace sluice::probe {
namespace {

// The best of rounds over all chunks, for `time_ms`. The first round, which makes the pages, does
// not count.
template <class Chunk>
double best_rate(base::ThreadTeam& team, int64_t chunks, int time_ms, Chunk each) {
  team.parallel_for(chunks, each);
  double best = 0.0, spent = 0.0;
  do {
    const double start = wall_seconds();
    team.parallel_for(chunks, each);
    const double seconds = wall_seconds() - start;
    best = std::max(best, static_cast<double>(chunks * MemoryArray::kChunkBytes) / seconds);
    spent += seconds;
  } while (spent * 1000.0 < time_ms);
  return best;
}

int64_t chunks_of(int64_t bytes, int threads) {
  return std::max<int64_t>(bytes / MemoryArray::kChunkBytes, threads);
}

std::vector<int> thread_counts(int threads) {
  std::vector<int> counts;
  for (int count = 1; count < threads; count *= 2) counts.push_back(count);
  counts.push_back(threads);
  return counts;
}

}  // namespace

Result<std::vector<hardware::ThreadRate>> measure_thread_rates(const kernels::Exec& exec,
                                                               int64_t bytes, int time_ms) {
  const int threads = exec.team->threads();
  SLUICE_ASSIGN(const MemoryArray from, MemoryArray::create(chunks_of(bytes / 2, threads)));
  SLUICE_ASSIGN(const MemoryArray to, MemoryArray::create(from.chunks()));
  constexpr auto kBytes = static_cast<size_t>(MemoryArray::kChunkBytes);
  std::vector<hardware::ThreadRate> rates;
  Sink sink;
  for (const int count : thread_counts(threads)) {
    base::ThreadTeam team(count);
    const auto best = [&](auto each) { return best_rate(team, from.chunks(), time_ms, each); };
    hardware::ThreadRate rate{.threads = count};
    rate.write_bytes_per_second =
        best([&](int64_t chunk) { std::memset(from.chunk(chunk), 1, kBytes); });
    rate.read_bytes_per_second = best([&](int64_t chunk) {
      sink.take(exec.ops->read_all(from.chunk(chunk), MemoryArray::kChunkFloats));
    });
    rate.copy_bytes_per_second =
        best([&](int64_t chunk) { std::memcpy(to.chunk(chunk), from.chunk(chunk), kBytes); });
    rates.push_back(rate);
  }
  return rates;
}

Result<std::vector<hardware::NodeRate>> measure_node_rates(const kernels::Exec& exec, int64_t bytes,
                                                           int time_ms) {
  std::vector<hardware::NodeRate> rates;
  for (const int node : base::own_nodes_to_interleave()) {
    SLUICE_ASSIGN(const MemoryArray array,
                  MemoryArray::create(chunks_of(bytes, exec.team->threads()), {node}));
    exec.team->parallel_for(array.chunks(), [&](int64_t chunk) {
      std::memset(array.chunk(chunk), 1, static_cast<size_t>(MemoryArray::kChunkBytes));
    });
    Sink sink;
    const double rate = best_rate(*exec.team, array.chunks(), time_ms, [&](int64_t chunk) {
      sink.take(exec.ops->read_all(array.chunk(chunk), MemoryArray::kChunkFloats));
    });
    rates.push_back({node, rate});
  }
  return rates;
}

}  // namespace sluice::probe
