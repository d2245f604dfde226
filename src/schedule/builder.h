// A schedule is a builder: pure functions from what is known to a piece of the graph. The pipeline
// executes the result in real time; nothing here reads a clock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "models/batch_view.h"
#include "models/config.h"
#include "plan/plan.h"
#include "schedule/cost_model.h"
#include "schedule/graph.h"

namespace sluice::schedule {

// What of a micro-batch's keys and values moves, in each layer, where attention runs and not all of
// them are.
struct KvMoves {
  int64_t blocks = 0;           // that need a place there for the while, or leave
  int64_t arriving_blocks = 0;  // that come, with tokens of earlier iterations
  int64_t leaving_tokens = 0;   // new ones, whose home is not there
  int64_t leaving_blocks = 0;   // that became full, and go to a home that takes whole blocks
  int64_t parts = 1;            // in which it attends, one after the other
  KvMoves& operator+=(const KvMoves& other);
  bool operator==(const KvMoves&) const = default;
};

// Of any iteration of this plan, at most.
KvMoves most_kv_moves(const plan::Plan& plan);

// Of a micro-batch that attends in parts, a run of its sequences whose keys and values find room
// there together.
struct KvPart {
  int64_t first = 0, sequences = 0;
  int64_t rows = 0;
  int64_t visible_keys = 0;    // as in models::Load
  int64_t context_tokens = 0;  // as in models::Load
  KvMoves kv{};
};

// What a schedule needs to know of a micro-batch's rows.
struct BatchShape {
  int64_t rows = 0;
  int64_t sequences = 0;
  int64_t visible_keys = 0;    // as in models::Load
  int64_t context_tokens = 0;  // as in models::Load
  int64_t logit_rows = 0;
  KvMoves kv{};
  bool operator==(const BatchShape&) const = default;
};
BatchShape shape_of(const models::BatchView& batch);
// What attention's cost depends on, of so many sequences from this one on.
KvPart part_of(const models::BatchView& batch, int64_t first, int64_t sequences);

// Where experts lie, from the moment of building until the iteration has ended. Empty spans: all on
// the host, in order. [experts_per_layer] of each layer follow each other.
struct Residency {
  std::span<const Level> experts{};       // by expert: where it stays, unless claimed
  std::span<const int16_t> order{};       // by position: the expert. Those that are kept come first
  std::span<const float> share{};         // by expert: of the tokens that choose it, as measured; 0
                                          // for one that must not be moved before it is asked for
  std::span<const int64_t> page_bytes{};  // [layer]: of an expert's page. Empty: none ever moves
  int experts_per_layer = 0;

  Level expert(int layer, int e) const {
    return experts.empty() ? Level::kHost : experts[at(layer, e)];
  }
  int expert_at(int layer, int position) const {
    return order.empty() ? position : order[at(layer, position)];
  }
  PageId page(int layer, int e) const { return static_cast<PageId>(at(layer, e)); }
  bool moves() const { return !page_bytes.empty(); }

 private:
  size_t at(int layer, int i) const {
    return static_cast<size_t>(layer) * static_cast<size_t>(experts_per_layer) +
           static_cast<size_t>(i);
  }
};

// Of a token embedding that lies on disk, the rows that must be read before `embed`.
struct EmbeddingReads {
  std::span<const PageId> rows{};
  int64_t row_bytes = 0;  // of each read
};

// Everything that a builder may read. The views must live until the iteration has ended.
struct Context {
  const models::ModelConfig* model = nullptr;
  const plan::Plan* plan = nullptr;
  BatchShape batch{};
  std::span<const KvPart> kv_parts{};  // empty: the whole micro-batch attends at once
  int micro_batch = 0;
  int64_t iteration = 0;
  bool cold = true;  // no event of an earlier iteration may be waited for
  Residency residency{};
  EmbeddingReads embedding{};
  const CostModel* costs = nullptr;  // null: predicted times stay 0

  int64_t row_bytes() const { return model->hidden * static_cast<int64_t>(sizeof(float)); }
};

// What `route` decided for one layer of one micro-batch, or what `guess` holds to be likely.
struct RoutingOutcome {
  // [experts]: (token, expert) pairs; of a guess, the more the likelier, and none at all where none
  // was made.
  std::span<const int32_t> expert_tokens{};
};

struct BuilderBounds {
  Bounds iteration{};
  Bounds expansion{};  // of each
  Bounds total() const;
};

class Builder {
 public:
  virtual ~Builder() = default;
  virtual const char* name() const = 0;

  // Fills `out`, which is empty, with one iteration of one micro-batch.
  virtual void iteration(const Context& context, Subgraph& out) const = 0;

  // Fills `out`, which is empty, with what follows a routing decision, within `point.bounds`.
  virtual void expand(const Context& context, const ExpansionPoint& point,
                      const RoutingOutcome& outcome, Subgraph& out) const = 0;

  // What an iteration of this context's model, plan and batch takes at most; it does not fall when
  // the batch grows.
  virtual BuilderBounds bounds(const Context& context) const = 0;
};

// The schedules there are, and one of them by name; kInvalid names those there are.
std::span<const Builder* const> builders();
Result<const Builder*> find(std::string_view name);

}  // namespace sluice::schedule
