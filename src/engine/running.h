// The engine that runs a loaded model: its requests, its scheduler and its pipeline.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/choice_run.h"
#include "engine/disk_runner.h"
#include "engine/engine.h"
#include "engine/environment.h"
#include "engine/guides.h"
#include "engine/lane_times.h"
#include "engine/link_runner.h"
#include "engine/loaded_model.h"
#include "engine/stage_runner.h"
#include "memory/kv_blocks.h"
#include "pipeline/executor.h"
#include "schedule/builder.h"
#include "schedule/host_costs.h"
#include "scheduler/scheduler.h"

namespace sluice::engine {

class Running : public Engine {
 public:
  // As Engine::load().
  static Result<std::unique_ptr<Running>> load(const std::string& path,
                                               const EngineOptions& options,
                                               const LoadProgress& progress = {});
  static Result<std::unique_ptr<Running>> load(OpenedModel model, const EngineOptions& options,
                                               const LoadProgress& progress = {});

  // `builder` is borrowed. start() must follow.
  Running(std::unique_ptr<LoadedModel> model, const EngineOptions& options,
          const schedule::Builder& builder);
  Status start();
  ~Running() override;

  Status check(const Request& request) const override;
  Status submit(Request request) override;
  void cancel(RequestId id) override;
  Status step(EventSink& sink) override;

  bool idle() const override { return requests_.empty(); }
  int64_t queued() const override { return scheduler_.queued(); }
  int64_t running() const override { return scheduler_.running(); }
  const models::ModelConfig& config() const override { return model_->files.config; }
  const plan::Plan& plan() const override { return model_->plan; }
  const text::Tokenizer* tokenizer() const override;
  const text::ChatTemplate* chat_template() const override;
  const std::string& fingerprint() const override { return model_->fingerprint; }
  tensor::DType expert_format() const override { return formats_.expert; }
  const EngineStats& stats() const override { return stats_; }

  const memory::KvBlocks& kv_blocks() const { return blocks_; }
  ExpertPaging* paging() const;  // null where nothing moves
  // Null where none of the cache is on disk.
  const DiskKv* disk_kv() const { return disk_ != nullptr ? disk_->kv() : nullptr; }
  StreamedKv* streamed_kv() const;  // null where all of the cache is where attention runs
  memory::EmbeddingRows* rows() const { return model_->embedding_rows.get(); }  // null: a table

 private:
  // running.cc: requests come and go
  std::unique_ptr<RequestRun> make_run(Request request);
  Status add_choice(RequestRun& owner, int index);
  bool keeps_use() const;  // what was learned of experts' use, between runs
  std::string expert_use_path() const;
  Status add_lanes(pipeline::ExecutorOptions& executor);
  void add_device_lanes(pipeline::ExecutorOptions& executor);
  void refresh_lane_stats();
  // Whether the disk or a device works beside the host's lane.
  bool reads_disk() const { return model_->paging != nullptr || model_->streamed_kv != nullptr; }
  bool other_lanes() const { return reads_disk() || model_->device != nullptr; }
  double now_s() const { return base::seconds(environment_.clock->now().time_since_epoch()); }

  // running_step.cc: one iteration
  Status launch();
  Progress done_before(const Flight& flight) const;
  schedule::EmbeddingReads embedding_reads(std::span<const uint32_t> rows) const;
  void end_oldest(EventSink& sink);
  void commit(Flight& flight, EventSink& sink);
  void report(ChoiceRun& choice, EventSink& sink);
  void finish_choice(scheduler::SequenceId sequence, EventSink& sink);
  void refresh_stats();

  // running_recover.cc: iterations that failed
  struct Failed {
    size_t slot = 0;
    Error error;
    std::optional<schedule::Task> task;  // that failed first
  };
  Status recover(EventSink& sink);
  void take_back(Flight& flight, EventSink& sink);
  std::optional<DiskPage> asked_page(const Failed& failed) const;
  bool doubtful(DiskPage page) const;
  bool lost(const Failed& failed) const;
  bool needs(const Flight& flight, const scheduler::Slice& slice, DiskPage page) const;
  void blame(const Failed& failed);
  Status stop(const Error& cause);

  // In the order in which they depend on each other.
  std::unique_ptr<LoadedModel> model_;
  const schedule::Formats formats_;
  EngineOptions options_;
  const Environment& environment_;
  const schedule::Builder& builder_;
  memory::KvBlocks blocks_;
  scheduler::Scheduler scheduler_;
  mutable Guides guides_;  // a cache: check() fills what submit() reads
  EngineStats stats_;
  std::vector<Flight> flights_;
  LaneTimes times_;
  StageRunner runner_;
  std::unique_ptr<DiskRunner> disk_;  // null: all experts and the cache are in memory
  // Null without a device.
  EngineStats device_stats_;
  std::unique_ptr<StageRunner> device_;
  std::unique_ptr<LinkRunner> to_device_, to_host_;
  schedule::CostModel costs_;
  std::unique_ptr<pipeline::Executor> executor_;
  std::vector<size_t> in_flight_;  // slots, oldest first
  std::vector<bool> warm_;         // [micro-batch]: events of its last iteration may be waited for
  std::vector<Failed> failed_;     // of the step that runs
  int failed_rounds_ = 0;          // one after the other, with nothing completed in between
  int64_t given_up_ = 0;           // requests, since an iteration was completed
  std::set<DiskPage> lost_pages_;  // for which requests were given up
  std::optional<Error> stopped_;
  std::vector<scheduler::Outcome> outcomes_;
  std::unordered_map<RequestId, std::unique_ptr<RequestRun>> requests_;
  std::unordered_map<scheduler::SequenceId, std::unique_ptr<ChoiceRun>> choices_;
  std::vector<scheduler::SequenceId> ended_early_;
  scheduler::SequenceId next_sequence_ = 1;
};

}  // namespace sluice::engine
