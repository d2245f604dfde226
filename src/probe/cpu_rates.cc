#include <algorithm>
#include <ctime>

#include "kernels/op_table.h"
#include "probe/memory_array.h"
#include "probe/probe.h"

namespace sluice::probe {
namespace {

Result<double> read_rate(const kernels::Exec& exec, int64_t read_bytes, int time_ms, Seconds now) {
  const int64_t chunks =
      std::max<int64_t>(read_bytes / MemoryArray::kChunkBytes, exec.team->threads());
  SLUICE_ASSIGN(const MemoryArray array, MemoryArray::create(chunks));
  exec.team->parallel_for(chunks, [&](int64_t chunk) {
    float* from = array.chunk(chunk);
    for (int64_t i = 0; i < MemoryArray::kChunkFloats; i += 1024) from[i] = 1.0f;
  });
  Sink sink;
  double best = 0.0;
  double spent = 0.0;
  do {
    const double start = now();
    exec.team->parallel_for(chunks, [&](int64_t chunk) {
      sink.take(exec.ops->read_all(array.chunk(chunk), MemoryArray::kChunkFloats));
    });
    const double seconds = now() - start;
    best = std::max(best, static_cast<double>(chunks * MemoryArray::kChunkBytes) / seconds);
    spent += seconds;
  } while (spent * 1000.0 < time_ms);
  return best;
}

// The best rate of `loop`, which does `work` operations a round, on all members at once.
template <class Loop>
double compute_rate(const kernels::Exec& exec, Loop loop, int64_t work, int time_ms, Seconds now) {
  if (loop == nullptr) return 0.0;
  Sink sink;
  int64_t rounds = 1000;
  double best = 0.0;
  const double begin = now();
  while ((now() - begin) * 1000.0 < time_ms) {
    const double start = now();
    exec.team->run([&](int) { sink.take(static_cast<float>(loop(rounds))); });
    const double seconds = now() - start;
    best = std::max(best, double(rounds) * double(work) * exec.team->threads() / seconds);
    if (seconds < 0.005) rounds *= 2;
  }
  return best;
}

double clock_seconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

double wall_seconds() { return clock_seconds(CLOCK_MONOTONIC); }
double median(std::vector<double> rounds) {
  const auto middle = rounds.begin() + std::ssize(rounds) / 2;
  std::ranges::nth_element(rounds, middle);
  return *middle;
}

double thread_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

Result<CpuRates> measure_cpu(const kernels::Exec& exec, int64_t read_bytes, int time_ms,
                             Seconds now) {
  CpuRates rates;
  const kernels::OpTable& ops = *exec.ops;
  SLUICE_ASSIGN(rates.read_bytes_per_second, read_rate(exec, read_bytes, time_ms, now));
  rates.f32_flops = compute_rate(exec, ops.fma_loop, ops.fma_flops, time_ms, now);
  rates.bf16_flops = compute_rate(exec, ops.bf16_dot_loop, ops.bf16_dot_flops, time_ms, now);
  rates.int8_ops = compute_rate(exec, ops.blocks->dot_loop, ops.blocks->dot_ops, time_ms, now);
  return rates;
}

}  // namespace sluice::probe
