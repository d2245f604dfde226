// The public C++ API: load a model, submit requests, step until they are done.
//
// One thread owns an Engine and calls step(); that thread is also member 0 of the compute lane's
// team. Everything is reserved in load(); a steady step allocates nothing in kernels, scheduler or
// pipeline.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "hardware/hardware.h"
#include "kernels/exec.h"
#include "models/config.h"
#include "plan/plan.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace sluice::pipeline {
class Trace;
}
namespace sluice::device {
class Faults;
}
namespace sluice::io {
class Faults;
}

namespace sluice::engine {

struct Environment;
struct OpenedModel;

struct EngineOptions {
  // auto: resident if everything fits into memory, else layer_stream; with a device cgopipe, or
  // kv_prefetch if attention_on is device.
  std::string schedule = "auto";
  std::string quant = "none";    // none, bf16, q8, q4, mxfp4: matrices quantized as they are loaded
  int threads = 0;               // 0: the cores this process may use
  int64_t max_batch_size = 0;    // sequences in flight; 0: 64, less if KV has no room
  int64_t micro_batch_size = 0;  // 0: max_batch_size (one micro-batch)
  int64_t max_num_tokens = 0;    // rows of one iteration; 0: 512, at least max_batch_size
  int64_t max_seq_len = 0;       // 0: the model's max_positions, or what the KV cache holds if less
  std::string device;            // emulated:FILE, a hardware.json; empty: none
  int64_t device_memory = 0;     // bytes of it that may be used; 0: all
  int64_t host_memory = 0;       // bytes that this process may hold in all; 0: what is available
  double resident_weights = 1.0;  // share of the experts that may lie in memory, or on the device
  std::string attention_on = "auto";  // host, device; auto: where the schedule wants it
  // host, device, auto: where the cost statement says, expert by expert; empty: auto with cgopipe,
  // else device, or host without one.
  std::string experts_on;
  // host, disk: where keys and values lie that find no room in host memory, if the host attends: on
  // disk in a scratch file in kv_directory (empty: the model's), which is gone with the engine.
  std::string kv_on = "host";
  std::string kv_directory;
  // Share of the KV cache that stays where attention runs; none: on a device nothing, on the host
  // what finds room.
  std::optional<double> resident_kv;
  // Of a cache on disk, of each of the two windows that it passes through, at most; but any
  // sequence finds room in one.
  int64_t kv_window_bytes = int64_t{32} << 20;
  // on, off: whether experts are read before their layer's router has spoken, as the layer before
  // lets it be guessed; auto: with expert_fetch.
  std::string guess_experts = "auto";
  // host, disk: where the token embedding lies, if experts lie on disk and it is not the head too.
  // From the disk come the rows that an iteration needs; auto: there, if that takes less memory.
  std::string embedding_on = "auto";
  // Whether which experts stay in memory is decided by how often each was chosen; else all count
  // alike, to see what that gains.
  bool measured_residency = true;
  // The folder in which what is learned of experts' use is kept between runs, if experts move, by
  // the model's fingerprint; empty: nowhere.
  std::string expert_use_directory;
  int64_t kv_cache_memory = 0;  // bytes; 0: kv_cache_free_mem_fraction of what is free
  double kv_cache_free_mem_fraction = 0.5;
  int64_t kv_block_tokens = 32;
  std::string kv_dtype = "auto";  // f32, f16, bf16, q8; auto: as wide as the weights are stored
  bool prefix_sharing = true;
  // Share of max_tokens whose KV blocks are counted before a sequence starts. Below 1 more of them
  // run side by side; when blocks run out, the youngest is set back and computed again, with the
  // same tokens.
  double kv_reserve_fraction = 1.0;
  int64_t max_queued_requests = 1024;
  uint64_t seed = 0;
  bool per_request_experts = false;  // fill RequestOutput::expert_tokens
  // As this machine was measured, for predicted times in the trace; null: not known.
  std::shared_ptr<const hardware::Hardware> machine;
  // Limits of waiting. A read of an expert, a move of keys and values, or a task of a lane beside
  // the host's, that takes longer fails its iteration with kTimeout; the second is the longer one
  // and names only the task.
  int64_t disk_timeout_ms = 60'000;
  int64_t lane_timeout_ms = 120'000;
  // What a failed iteration may have met passes: before the next attempt, so long for each that
  // failed since the last success.
  int64_t retry_pause_ms = 500;
  std::optional<kernels::Isa> isa;    // tests: run with this one
  io::Faults* disk_faults = nullptr;  // tests: what befalls reads of experts; outlives the engine
  device::Faults* device_faults = nullptr;   // tests: likewise, the device and its links
  const Environment* environment = nullptr;  // null: this machine; outlives the engine
  pipeline::Trace* trace = nullptr;          // records every task if given; outlives the engine
};

// Called from step(), in the order things happen.
struct EventSink {
  // New text of a choice (may be empty while a character is incomplete), as it is generated.
  std::function<void(RequestId, int choice, const std::string& text, int32_t token)> on_token;
  std::function<void(RequestOutput&&)> on_finished;
};

using LoadProgress = std::function<void(int64_t done, int64_t total)>;

class Engine {
 public:
  // `path` is a Hugging Face directory or a GGUF file. `progress` is told the bytes of the
  // weights' files that are loaded, and all that will be.
  static Result<std::unique_ptr<Engine>> load(const std::string& path, const EngineOptions& options,
                                              const LoadProgress& progress = {});
  // The same of a model that is open (model_files.h), with `options.quant`.
  static Result<std::unique_ptr<Engine>> load(OpenedModel model, const EngineOptions& options,
                                              const LoadProgress& progress = {});
  virtual ~Engine() = default;

  // What submit() would refuse, without submitting: prompt too long, token ids or sampling fields
  // out of range, a guide that does not compile.
  virtual Status check(const Request& request) const = 0;

  // Queues a request; kNoRoom when max_queued_requests wait already.
  virtual Status submit(Request request) = 0;

  // The request, if still there, ends with FinishReason::kCancelled at the next step.
  virtual void cancel(RequestId id) = 0;

  // Runs one micro-batch's iteration and reports what came of it. One that a fault ends is computed
  // again, with the same tokens; requests that need what cannot be had (an expert whose page is
  // damaged) end with RequestOutput::error and code kFault. An error of step() itself is a fault of
  // the machine that did not pass: kFault, with the cause; the engine cannot go on after it.
  virtual Status step(EventSink& sink) = 0;

  virtual bool idle() const = 0;       // nothing queued or running
  virtual int64_t queued() const = 0;  // waiting for a slot
  virtual int64_t running() const = 0;

  virtual const models::ModelConfig& config() const = 0;
  virtual const plan::Plan& plan() const = 0;
  virtual const text::Tokenizer* tokenizer() const = 0;         // null: the directory has none
  virtual const text::ChatTemplate* chat_template() const = 0;  // null: the directory has none
  virtual const std::string& fingerprint() const = 0;           // of the weights and config
  virtual const EngineStats& stats() const = 0;
  virtual tensor::DType expert_format() const = 0;  // of most of their weights, in memory
};

}  // namespace sluice::engine
