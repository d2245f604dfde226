// The phases of whole runs of an engine, each timed, with the work that its stages state.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "kernels/exec.h"

namespace sluice::bench {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model;
  std::vector<int64_t> batches{1, 8, 32, 64};
  std::vector<std::string> phases{"prefill", "decode", "whole"};
  int64_t prompt = 128;
  int64_t generate = 32;
  int64_t max_num_tokens = 512;
  int64_t max_seq_len = 0;
  int64_t kv_cache_memory = 0;
  int threads = 0;
  int rounds = 1;
  std::string schedule = "auto";
  std::string quant = "none";
  std::string kv_dtype = "auto";
  std::string isa = kernels::name(kernels::best_isa());
  bool probe = true;
  bool json = false;
};

[[noreturn]] inline void fail(const Error& error) {
  std::fprintf(stderr, "engine_bench: %s\n", error.message.c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error());
  return std::move(result).value();
}

inline void must(const Status& status) {
  if (!status) fail(status.error());
}

// What one phase took, by the clock, and what its stages say they did.
struct Phase {
  int64_t tokens = 0;
  double seconds = 0;
  std::array<engine::StageStats, models::kStageKinds> stages{};
  engine::DiskStats disk;
  double disk_busy_seconds = 0;

  double tokens_per_second() const { return static_cast<double>(tokens) / seconds; }
};

// Decoding goes on for as many steps as the rest of the batch still needs for its prompts.
inline int64_t decode_slack(const Options& options, int64_t batch) {
  const int64_t room = std::max<int64_t>(1, options.max_num_tokens - batch);
  return batch * options.prompt / room + batch + 2;
}

class Runs {
 public:
  Runs(const Options& options, engine::Engine& engine) : options_(options), engine_(engine) {
    sink_.on_token = [this](engine::RequestId id, int, const std::string&, int32_t) {
      ++tokens_;
      waiting_ -= first_[id - first_id_] ? 0 : 1;
      first_[id - first_id_] = true;
    };
    sink_.on_finished = [](engine::RequestOutput&& output) {
      if (output.error) fail(*output.error);
    };
  }

  // Prompts alone: each request ends with the token that its prompt gives.
  Phase prefill(int64_t batch) {
    submit(batch, 1);
    Phase phase = timed([&] { run_out(); });
    phase.tokens = batch * options_.prompt;
    return phase;
  }

  // Every sequence generates in every step; what came before the last one's first token is left
  // out.
  Phase decode(int64_t batch) {
    submit(batch, options_.generate + decode_slack(options_, batch));
    while (waiting_ > 0) must(engine_.step(sink_));
    const int64_t from = tokens_;
    Phase phase = timed([&] {
      while (tokens_ < from + batch * options_.generate) must(engine_.step(sink_));
    });
    phase.tokens = tokens_ - from;
    for (int64_t i = 0; i < batch; ++i)
      engine_.cancel(first_id_ + static_cast<engine::RequestId>(i));
    run_out();
    return phase;
  }

  // Generated tokens over the whole time, prompts included.
  Phase whole(int64_t batch) {
    submit(batch, options_.generate);
    Phase phase = timed([&] { run_out(); });
    phase.tokens = tokens_;
    return phase;
  }

 private:
  void submit(int64_t batch, int64_t max_tokens) {
    first_id_ = next_id_;
    first_.assign(static_cast<size_t>(batch), false);
    waiting_ = batch;
    tokens_ = 0;
    for (int64_t i = 0; i < batch; ++i) {
      engine::Request request;
      request.id = next_id_++;
      request.sampling.temperature = 0;
      request.sampling.ignore_eos = true;
      request.sampling.max_tokens = max_tokens;
      for (int64_t k = 0; k < options_.prompt; ++k) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
        request.prompt.push_back(
            static_cast<int32_t>((state_ >> 33) % static_cast<uint64_t>(engine_.config().vocab)));
      }
      must(engine_.submit(std::move(request)));
    }
  }

  void run_out() {
    while (!engine_.idle()) must(engine_.step(sink_));
  }

  template <class Body>
  Phase timed(const Body& body) {
    const engine::EngineStats before = engine_.stats();
    const auto start = Clock::now();
    body();
    Phase phase;
    phase.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    phase.stages = engine_.stats().stages;
    phase.disk = engine_.stats().disk;
    phase.disk.pages -= before.disk.pages;
    phase.disk.bytes -= before.disk.bytes;
    phase.disk_busy_seconds = engine_.stats().lane(schedule::Lane::kDisk).busy_seconds -
                              before.lane(schedule::Lane::kDisk).busy_seconds;
    for (size_t i = 0; i < phase.stages.size(); ++i) {
      engine::StageStats& stage = phase.stages[i];
      const engine::StageStats& old = before.stages[i];
      stage.tasks -= old.tasks;
      stage.busy_seconds -= old.busy_seconds;
      stage.cost.flops -= old.cost.flops;
      stage.cost.weight_bytes -= old.cost.weight_bytes;
      stage.cost.kv_bytes -= old.cost.kv_bytes;
      stage.cost.activation_bytes -= old.cost.activation_bytes;
    }
    return phase;
  }

  const Options& options_;
  engine::Engine& engine_;
  engine::EventSink sink_;
  std::vector<bool> first_;  // by request: has its first token come?
  engine::RequestId next_id_ = 1, first_id_ = 1;
  int64_t waiting_ = 0;  // requests without a token yet
  int64_t tokens_ = 0;
  uint64_t state_ = 1;
};

}  // namespace sluice::bench
