// The experts of a model that is larger than the memory it runs in: which of them lie there, what
// schedules may know of it, and where the kernels find them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/stats.h"
#include "memory/expert_use.h"
#include "memory/weight_pages.h"
#include "models/weight_source.h"
#include "models/weights_map.h"
#include "schedule/residency_table.h"

namespace sluice::engine {

class ExpertPaging {
 public:
  struct Options {
    std::vector<models::ExpertPage> layouts;  // [layer]; of no bytes where there are no experts
    int64_t slots = 0;                        // experts in memory at once
    int64_t moving = 0;                       // of these, those that make room for others
    int holders = 1;                          // iterations in flight: each has a number below
    schedule::Level near = schedule::Level::kHost;      // where the slots are
    schedule::Level far = schedule::Level::kDisk;       // where the others lie
    memory::ArenaOptions arena = {.huge_pages = true};  // of the slots
  };

  // `weights` is borrowed: its experts' matrices get their shapes now and their places as pages
  // come. kNoRoom when the system refuses the memory.
  static Result<std::unique_ptr<ExpertPaging>> create(const models::ModelConfig& config,
                                                      Options options,
                                                      models::ModelWeights& weights);

  // What builders read; it changes in settle() alone.
  const schedule::Residency& residency() const { return table_.residency(); }
  // [layer * max_experts + position], as ForwardContext wants it.
  std::span<const int16_t> order() const { return residency().order; }

  // While nothing is in flight: chooses which experts are kept, for iterations of `rows` tokens.
  // `ahead`: pages may be moved before a router asks for them. After a failure they are not, so
  // that it is known who needs a page that cannot be had.
  void settle(int64_t rows, bool ahead = true);
  // What a router has decided; of the thread that runs host compute.
  void add_routing(int layer, std::span<const int32_t> expert_tokens, int64_t rows) {
    if (measures_) use_.add(layer, expert_tokens, rows);
  }

  // From now on every expert counts as likely as any other.
  void ignore_use() { measures_ = false; }
  // A router's choice as it is guessed ([experts], 0: not among them), and then made. Of the same
  // thread; `holder` as of claims.
  void add_guess(int holder, int layer, std::span<const int32_t> expert_points);
  void end_guess(int holder, int layer, std::span<const int32_t> expert_points,
                 std::span<const int32_t> expert_tokens);
  GuessStats guesses() const;

  memory::WeightPages& pages() { return *pages_; }
  memory::ExpertUse& use() { return use_; }
  const models::ExpertPage& page_of_layer(int layer) const {
    return options_.layouts[static_cast<size_t>(layer)];
  }
  // Experts of the whole model.
  int64_t all_pages() const;
  int layer_of(memory::WeightPageId page) const { return static_cast<int>(page) / experts_; }
  int expert_of(memory::WeightPageId page) const { return static_cast<int>(page) % experts_; }

  // The page has come: the expert's matrices are where it lies.
  void bind(memory::WeightPageId page);

 private:
  ExpertPaging(const models::ModelConfig& config, Options options, models::ModelWeights& weights);

  const models::ModelConfig& config_;
  Options options_;
  models::ModelWeights& weights_;
  int experts_ = 0;  // of the layer that has most
  memory::ExpertUse use_;
  std::unique_ptr<memory::WeightPages> pages_;
  schedule::ResidencyTable table_;
  bool measures_ = true;
  int64_t guessed_ = 0, guessed_right_ = 0;  // experts
};

// How the experts of each layer lie in a source, and in weights that are in memory.
std::vector<models::ExpertPage> page_layouts(const models::ModelConfig& config,
                                             const models::WeightSource& source);
std::vector<models::ExpertPage> page_layouts(const models::ModelConfig& config,
                                             const models::ModelWeights& weights);

}  // namespace sluice::engine
