// Makes a plan that fits this machine, or says with numbers why there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "models/config.h"
#include "models/weights_map.h"
#include "plan/plan.h"

namespace sluice::plan {

// Tokens of one KV block, where nobody says otherwise.
constexpr int64_t kKvBlockTokens = 32;
// Of one window of a cache on disk, where nobody says otherwise: reads of a second window keep a
// disk busy while this one is attended over.
constexpr int64_t kKvWindowBytes = int64_t{32} << 20;
// With fewer slots for experts than this a model is refused: hardly anything could be moved ahead.
constexpr int64_t kLeastSlots = 4;

// Rows of one part of the head, of a micro-batch of so many sequences.
int64_t logit_rows(const models::ModelConfig& config, int64_t micro_batch);

// What the caller asked for; 0 leaves a choice open (engine.h has the defaults).
struct FitWishes {
  std::string schedule = "auto";
  int threads = 0;
  int64_t max_batch_size = 0;
  int64_t micro_batch_size = 0;
  int64_t max_num_tokens = 0;
  int64_t max_seq_len = 0;
  int64_t host_memory = 0;
  int64_t device_memory = 0;  // 0: all that the device has
  double resident_weights = 1.0;
  std::string attention_on = "auto";
  std::string experts_on;  // empty: where the schedule has them
  // host, disk: what of the cache finds no room in host memory lies on disk, if the host attends.
  std::string kv_on = "host";
  // Of the cache, where attention runs; none: on a device nothing, on the host what finds room.
  std::optional<double> resident_kv;
  // Of a cache on disk, of each of two windows, at most; but any sequence finds room in one.
  int64_t kv_window_bytes = kKvWindowBytes;
  std::string guess_experts = "auto";  // on, off; auto: where the schedule can
  // host, disk; auto: on disk where experts are and its rows take less than the table.
  std::string embedding_on = "auto";
  int64_t kv_cache_memory = 0;
  double kv_cache_free_mem_fraction = 0.5;
  int64_t kv_block_tokens = kKvBlockTokens;
  std::string kv_dtype = "auto";
};

// What the model is, beside its config (models::WeightNeeds). Bytes in memory.
struct FitModel {
  int64_t weight_bytes = 0;                    // of all weights
  bool block_weights = false;                  // some are of block formats
  tensor::DType stored = tensor::DType::kF32;  // in which most are stored
  // Experts that can be read one by one; 0: none can.
  int64_t pages = 0;
  int64_t page_bytes = 0;    // of the largest
  int64_t expert_bytes = 0;  // of weight_bytes, what is theirs
  // Of weight_bytes, the token embedding's where its rows can be read one by one, and bytes of such
  // a read; 0: they cannot.
  int64_t embedding_bytes = 0;
  int64_t embedding_read_bytes = 0;
};

FitModel fit_model(const models::WeightNeeds& needs);

// What there is. Bytes.
struct FitMachine {
  int64_t available_memory = 0;
  int64_t device_memory = 0;   // of a device's own; 0: there is none
  int64_t process_memory = 0;  // that this process holds already: counts against --host-memory
  int64_t disk_room = 0;       // where a cache on disk would lie
  int cores = 1;
  int memory_nodes = 1;  // over which weights and KV are interleaved, if there are more
};

// What the KV cache holds; kInvalid for a name that is none.
Result<kernels::KvDType> kv_dtype(const FitWishes& wishes, tensor::DType stored);

// A pure function. Where the weights do not fit and experts can be read one by one, those that find
// no room stay on disk, if the schedule that was asked for (or none was) can do so. Errors:
// kInvalid for wishes that contradict each other or the model; kNoRoom with what is needed, what
// there is, and the nearest that fits.
Result<Plan> fit_plan(const models::ModelConfig& config, const FitModel& model,
                      const FitWishes& wishes, const FitMachine& machine);

}  // namespace sluice::plan
