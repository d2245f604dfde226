#include "schedule/task.h"

#include <cstdio>

namespace sluice::schedule {

const char* name(Lane lane) {
  switch (lane) {
    case Lane::kDeviceCompute:
      return "device compute";
    case Lane::kHostCompute:
      return "host compute";
    case Lane::kHostToDevice:
      return "host to device";
    case Lane::kDeviceToHost:
      return "device to host";
    case Lane::kDisk:
      return "disk";
    case Lane::kNetwork:
      return "network";
  }
  return "?";
}

const char* name(Level level) {
  switch (level) {
    case Level::kDevice:
      return "device";
    case Level::kStaging:
      return "staging";
    case Level::kHost:
      return "host";
    case Level::kDisk:
      return "disk";
    case Level::kPeer:
      return "peer";
  }
  return "?";
}

const char* name(Payload payload) {
  switch (payload) {
    case Payload::kWeights:
      return "weights";
    case Payload::kKv:
      return "kv";
    case Payload::kHidden:
      return "hidden";
    case Payload::kQkv:
      return "qkv";
    case Payload::kLogits:
      return "logits";
    case Payload::kExpertInput:
      return "expert input";
    case Payload::kExpertOutput:
      return "expert output";
    case Payload::kRow:
      return "row";
  }
  return "?";
}

const char* name(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::kPageResident:
      return "page resident";
    case Event::Kind::kTaskDone:
      return "task done";
    case Event::Kind::kBufferFree:
      return "buffer free";
    case Event::Kind::kOutside:
      return "outside";
  }
  return "?";
}

std::string to_string(const Event& event) {
  char text[96];
  std::snprintf(text, sizeof text, "%s %u (layer %d, mb%d, iteration %lld)", name(event.kind),
                event.index, event.layer, event.micro_batch,
                static_cast<long long>(event.iteration));
  return text;
}

namespace {

std::string stage_label(const models::Stage& stage) {
  std::string text = models::name(stage.kind);
  switch (stage.kind) {
    case models::StageKind::kExpertGroup:
      text += " " + std::to_string(stage.first);
      if (stage.count > 1) text += "-" + std::to_string(stage.first + stage.count - 1);
      break;
    case models::StageKind::kHead:
    case models::StageKind::kSample:
      text += " " + std::to_string(stage.first);
      break;
    case models::StageKind::kAttend:
      if (stage.first > 0) text += " " + std::to_string(stage.first);
      break;
    case models::StageKind::kEmbed:
    case models::StageKind::kQkv:
    case models::StageKind::kOProj:
    case models::StageKind::kRoute:
    case models::StageKind::kGuess:
    case models::StageKind::kDispatch:
    case models::StageKind::kShared:
    case models::StageKind::kCombine:
      break;
  }
  return text;
}

}  // namespace

std::string label(const Task& task) {
  std::string text;
  if (task.layer >= 0) {
    char layer[16];
    std::snprintf(layer, sizeof layer, "L%02d ", task.layer);
    text = layer;
  }
  const Transfer* transfer = task.transfer();
  if (transfer == nullptr) {
    text += stage_label(*task.stage());
  } else {
    text += name(transfer->payload);
    if (transfer->urgency == Urgency::kGuess) text += " guess";
    text += std::string(" ") + name(transfer->from) + ">" + name(transfer->to);
  }
  text += " mb" + std::to_string(task.micro_batch);
  if (transfer != nullptr && transfer->pages.count > 0) {
    text += " p" + std::to_string(transfer->pages.first);
    if (transfer->pages.count > 1) text += "+" + std::to_string(transfer->pages.count);
  }
  return text;
}

}  // namespace sluice::schedule
