// Rounds of an op beside rounds of plain reads and plain multiply-adds: what it reached, what the
// machine allows, and the share. The best of each counts, so that other work on the machine
// disturbs both alike.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "kernels/cases.h"
#include "kernels/op_table.h"
#include "probe/probe.h"

namespace sluice {

constexpr int64_t kArenaBytes = int64_t{1} << 30;  // weights are read from beyond the caches

struct Options {
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  kernels::Isa isa = kernels::best_isa();
  std::string filter;
  int round_ms = 60;
  int rounds = 5;
  probe::Seconds now = &probe::wall_seconds;

  // Takes one flag; false if there is none of that name, or its value is none.
  bool parse(const std::string& flag, const std::string& value) {
    if (flag == "--threads") {
      threads = std::max(1, std::atoi(value.c_str()));
    } else if (flag == "--isa") {
      const auto wanted = kernels::parse_isa(value);
      const auto have = kernels::available_isas();
      if (!wanted || std::find(have.begin(), have.end(), *wanted) == have.end()) return false;
      isa = *wanted;
    } else if (flag == "--filter") {
      filter = value;
    } else if (flag == "--round-ms") {
      round_ms = std::max(1, std::atoi(value.c_str()));
    } else if (flag == "--rounds") {
      rounds = std::max(1, std::atoi(value.c_str()));
    } else if (flag == "--clock" && (value == "wall" || value == "cpu")) {
      now = value == "cpu" ? &probe::thread_seconds : &probe::wall_seconds;
    } else {
      return false;
    }
    return true;
  }
  bool valid() const { return now != &probe::thread_seconds || threads == 1; }

  static std::string usage() {
    std::string text =
        "[--threads N] [--isa NAME] [--filter TEXT] [--round-ms N] [--rounds N] "
        "[--clock wall|cpu (one thread)]\nISAs of this CPU:";
    for (kernels::Isa isa : kernels::available_isas())
      text += std::string(" ") + kernels::name(isa);
    return text;
  }
};

struct Work {
  double bytes = 0.0;  // of weights or KV, read once
  double flops = 0.0;
  tensor::DType format = tensor::DType::kF32;  // of the weights: whose peak it is counted against
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        team_(options.threads),
        exec_{&kernels::op_table(options.isa), &team_},
        arena_(kArenaBytes) {
    (void)::madvise(arena_.data(), static_cast<size_t>(kArenaBytes), MADV_HUGEPAGE);
    auto* values = reinterpret_cast<uint16_t*>(arena_.data());
    constexpr int64_t kChunk = int64_t{1} << 20;
    team_.parallel_for(kArenaBytes / 2 / kChunk, [&](int64_t chunk) {
      auto state = static_cast<uint32_t>(chunk + 1);
      for (int64_t i = chunk * kChunk; i < (chunk + 1) * kChunk; ++i) {
        state = state * 1664525u + 1013904223u;
        // About 0.01, and as a scale of any block format nowhere near what is denormal.
        values[i] = static_cast<uint16_t>(0x3c60u | (state >> 16 & 0x801fu));
      }
    });
  }

  bool measure_peaks() {
    const auto rates =
        probe::measure_cpu(exec_, kArenaBytes, options_.round_ms * options_.rounds, options_.now);
    if (!rates) {
      std::fprintf(stderr, "kernels_bench: %s\n", rates.error().message.c_str());
      return false;
    }
    peaks_ = *rates;
    std::printf("%s, %s, %d threads, %s time: reads %.1f GB/s, f32 FMA %.1f GFLOP/s",
                probe::cpu_model().c_str(), kernels::name(options_.isa), options_.threads,
                options_.now == &probe::thread_seconds ? "cpu" : "wall",
                peaks_.read_bytes_per_second / 1e9, peaks_.f32_flops / 1e9);
    if (peaks_.bf16_flops > 0.0) std::printf(", bf16 dot %.1f GFLOP/s", peaks_.bf16_flops / 1e9);
    if (peaks_.int8_ops > 0.0) std::printf(", int8 dot %.1f GOP/s", peaks_.int8_ops / 1e9);
    std::printf("\n%-44s %10s %8s %6s %9s %6s\n", "case", "us", "GB/s", "of bw", "Gop/s",
                "of peak");
    return true;
  }

  bool wants(const std::string& name) const {
    return name.find(options_.filter) != std::string::npos;
  }

  // Runs body(call) for rounds of a while; the best round counts. Between the rounds the machine's
  // own rates are measured again, because others may be using it too.
  void run(const std::string& name, const Work& work, const std::function<void(int64_t)>& body) {
    double best = 1e30;
    double reads = 0.0;
    double flops = 0.0;
    int64_t call = 0;
    body(call++);
    for (int round = 0; round < options_.rounds; ++round) {
      reads = std::max(reads, read_rate(round));
      flops = std::max(flops, peak_rate(work.format));
      const double start = options_.now();
      double seconds = 0.0;
      int64_t calls = 0;
      while (seconds * 1e3 < options_.round_ms) {
        body(call++);
        ++calls;
        seconds = options_.now() - start;
      }
      best = std::min(best, seconds / static_cast<double>(calls));
    }
    std::printf("%-44s %10.1f %8.1f %5.0f%% %9.1f %5.0f%%\n", name.c_str(), best * 1e6,
                work.bytes / best / 1e9, 100.0 * work.bytes / best / reads, work.flops / best / 1e9,
                100.0 * work.flops / best / flops);
    std::fflush(stdout);
  }

  // The n-th of as many matrices of any bytes as the arena holds; larger ones overlap.
  kernels::PackedMatrix matrix(tensor::DType dtype, int64_t n, int64_t rows, int64_t cols) const {
    const int64_t bytes = kernels::packed_bytes(dtype, rows, cols);
    const int64_t places = std::max<int64_t>(1, kArenaBytes / bytes);
    return {dtype, kernels::Layout::kRows16, rows, cols, arena_.data() + n % places * bytes};
  }

  const kernels::Exec& exec() const { return exec_; }
  std::byte* arena() const { return arena_.data(); }

 private:
  double read_rate(int round) {
    constexpr int64_t kChunk = int64_t{1} << 20;               // floats
    constexpr int64_t kChunks = kArenaBytes / 4 / kChunk / 4;  // a quarter of the arena
    const auto* from = reinterpret_cast<const float*>(arena_.data()) + round % 4 * kChunks * kChunk;
    const double start = options_.now();
    team_.parallel_for(kChunks, [&](int64_t chunk) {
      sink_ = exec_.ops->read_all(from + chunk * kChunk, kChunk);
    });
    return static_cast<double>(kChunks * kChunk * 4) / (options_.now() - start);
  }

  double peak_rate(tensor::DType format) {
    if (tensor::is_block_format(format)) return int8_rate();
    return format == tensor::DType::kBF16Dot ? bf16_rate() : fma_rate();
  }

  double bf16_rate() {
    if (exec_.ops->bf16_dot_loop == nullptr) return fma_rate();
    return loop_rate(peaks_.bf16_flops, exec_.ops->bf16_dot_flops, exec_.ops->bf16_dot_loop);
  }

  double fma_rate() {
    return loop_rate(peaks_.f32_flops, exec_.ops->fma_flops, exec_.ops->fma_loop);
  }

  double int8_rate() {
    if (exec_.ops->blocks->dot_loop == nullptr) return fma_rate();
    return loop_rate(peaks_.int8_ops, exec_.ops->blocks->dot_ops, exec_.ops->blocks->dot_loop);
  }

  // For about 5 ms, on every thread.
  template <class Result>
  double loop_rate(double peak, int64_t ops, Result (*loop)(int64_t)) {
    const auto rounds =
        static_cast<int64_t>(0.005 * peak / options_.threads / static_cast<double>(ops));
    const double start = options_.now();
    team_.run([&](int) { sink_ = static_cast<float>(loop(rounds)); });
    return static_cast<double>(rounds * ops) * options_.threads / (options_.now() - start);
  }

  Options options_;
  base::ThreadTeam team_;
  kernels::Exec exec_;
  kernels::AlignedBytes arena_;
  probe::CpuRates peaks_;
  std::atomic<float> sink_{0.0f};  // so that no loop's result is dropped
};

}  // namespace sluice
