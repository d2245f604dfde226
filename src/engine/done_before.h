// Work that is done again after a fault is no planned work: how far the rows of an iteration that
// failed had come, and what of their next one lies before that.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "schedule/task.h"

namespace sluice::engine {

// A stage's place in the forward pass; -1: before all of them.
using Progress = int32_t;
inline constexpr Progress kNothingDone = -1;

inline Progress progress_of(models::StageKind kind, int layer, int part = 0) {
  using models::StageKind;
  constexpr auto kKinds = static_cast<Progress>(models::kStageKinds);
  if (kind == StageKind::kEmbed) return 0;
  const int at = layer < 0 ? models::kMaxLayers + part : layer;
  return 1 + at * kKinds + static_cast<Progress>(kind);
}
inline Progress progress_of(const models::Stage& stage) {
  return progress_of(stage.kind, stage.layer, stage.first);
}
// The stage whose end says that this was moved, and used: its layer's last one.
inline Progress progress_of(const schedule::Task& transfer) {
  using models::StageKind;
  switch (transfer.transfer()->payload) {
    case schedule::Payload::kRow:
      return progress_of(StageKind::kEmbed, -1);
    case schedule::Payload::kLogits:
      return progress_of(StageKind::kSample, -1);
    case schedule::Payload::kWeights:
    case schedule::Payload::kKv:
    case schedule::Payload::kHidden:
    case schedule::Payload::kQkv:
    case schedule::Payload::kExpertInput:
    case schedule::Payload::kExpertOutput:
      return progress_of(StageKind::kCombine, transfer.layer);
  }
  base::check_failed("known payload", "a Payload outside its enum", __FILE__, __LINE__);
}

// A choice's rows in its last iteration, if that has failed. Of a layer's experts no count is kept:
// where some of them had been computed, none counts the next time. So of planned work there is
// rather too little than too much.
struct DoneBefore {
  int64_t first = 0, rows = 0;  // positions
  Progress to = kNothingDone;

  Progress of(int64_t first_position, int64_t count) const {
    return first_position >= first && first_position + count <= first + rows ? to : kNothingDone;
  }
};

}  // namespace sluice::engine
