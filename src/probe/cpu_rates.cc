#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <vector>

#include "base/numa.h"
#include "base/units.h"
#include "kernels/op_table.h"
#include "probe/probe.h"

namespace sluice::probe {
namespace {

constexpr int64_t kReadChunkFloats = int64_t{1} << 20;

// In large pages where the system has them, and over all memory nodes, as weights lie.
class Array {
 public:
  explicit Array(int64_t floats) : floats_(floats) {
    void* mapped =
        ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return;
    data_ = static_cast<float*>(mapped);
    (void)::madvise(mapped, bytes(), MADV_HUGEPAGE);
    const std::vector<int> nodes = base::own_nodes_to_interleave();
    if (!nodes.empty()) {
      (void)base::interleave(static_cast<std::byte*>(mapped), static_cast<int64_t>(bytes()), nodes);
    }
  }
  ~Array() {
    if (data_ != nullptr) ::munmap(data_, bytes());
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  float* data() const { return data_; }
  int64_t chunks() const { return floats_ / kReadChunkFloats; }

 private:
  size_t bytes() const { return static_cast<size_t>(floats_) * sizeof(float); }
  int64_t floats_;
  float* data_ = nullptr;
};

// Keeps the compiler from dropping loops whose results nobody reads.
class Sink {
 public:
  void take(float value) { bits_.fetch_xor(static_cast<uint32_t>(value != 0.0f)); }

 private:
  std::atomic<uint32_t> bits_{0};
};

Result<double> read_rate(const kernels::Exec& exec, int64_t read_bytes, int time_ms, Seconds now) {
  const int64_t chunk_bytes = kReadChunkFloats * int64_t{sizeof(float)};
  const int64_t chunks = std::max<int64_t>(read_bytes / chunk_bytes, exec.team->threads());
  const Array array(chunks * kReadChunkFloats);
  if (array.data() == nullptr) {
    return Error{ErrorCode::kNoRoom, "no memory to measure its bandwidth with: " +
                                         base::format_bytes(double(chunks * chunk_bytes)) +
                                         " are needed"};
  }
  exec.team->parallel_for(chunks, [&](int64_t chunk) {
    float* from = array.data() + chunk * kReadChunkFloats;
    for (int64_t i = 0; i < kReadChunkFloats; i += 1024) from[i] = 1.0f;
  });
  Sink sink;
  double best = 0.0;
  double spent = 0.0;
  do {
    const double start = now();
    exec.team->parallel_for(chunks, [&](int64_t chunk) {
      sink.take(exec.ops->read_all(array.data() + chunk * kReadChunkFloats, kReadChunkFloats));
    });
    const double seconds = now() - start;
    best = std::max(best, static_cast<double>(chunks * chunk_bytes) / seconds);
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
double thread_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

Result<CpuRates> measure_cpu(const kernels::Exec& exec, int64_t read_bytes, int time_ms,
                             Seconds now) {
  CpuRates rates;
  const kernels::OpTable& ops = *exec.ops;
  SLUICE_ASSIGN(rates.read_bytes_per_second, read_rate(exec, read_bytes, time_ms, now));
  rates.f32_flops = compute_rate(exec, ops.fma_loop, ops.fma_flops, time_ms, now);
  rates.bf16_flops = compute_rate(exec, ops.bf16_dot_loop, ops.bf16_dot_flops, time_ms, now);
  rates.int8_ops = compute_rate(exec, ops.int8_dot_loop, ops.int8_dot_ops, time_ms, now);
  return rates;
}

}  // namespace sluice::probe
