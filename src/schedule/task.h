// One piece of work on one lane, and the names by which pieces of different iterations know each
// other. Plain values: a task owns nothing and points nowhere.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "models/stage.h"

namespace sluice::schedule {

// Runs its tasks one at a time.
enum class Lane : uint8_t {
  kDeviceCompute,
  kHostCompute,
  kHostToDevice,
  kDeviceToHost,
  kDisk,
  kNetwork,
};
inline constexpr int kLanes = 6;
const char* name(Lane lane);  // "device compute", ...

// Where bytes lie. Staging is host memory that a link reads directly (pinned).
enum class Level : uint8_t { kDevice, kStaging, kHost, kDisk, kPeer };
const char* name(Level level);

enum class Payload : uint8_t {
  kWeights,
  kKv,
  kHidden,
  kQkv,
  kLogits,
  kExpertInput,
  kExpertOutput,
  kRow
};
const char* name(Payload payload);

using PageId = uint32_t;

struct PageRange {
  PageId first = 0;
  uint32_t count = 0;
  bool operator==(const PageRange&) const = default;
};

// Of pages of weights: whether a router has asked for them.
enum class Urgency : uint8_t {
  kNeeded,  // it has
  kAhead,   // it will, most likely: claimed, but leaving room for what is needed
  kGuess,   // it may: where nothing else wants the lane or the room. Nobody claims it or waits for
            // it: the task is done when the bytes begin to move
};

// Bytes from one level to another. Weights move by pages (`first_byte` within the first); a row of
// the token embedding, of which `pages` is the number, with what is packed with it; hidden
// states, QKV and logits are a byte range of their micro-batch's own buffer, without pages; KV goes
// up as all blocks of a micro-batch, or of a part of it, in the task's layer that are not there,
// down as its new tokens, or to the disk as blocks that became full; of experts that the host
// computes for a device, the input is all rows of the micro-batch and what they chose, the output
// the rows of the expert whose page is named.
struct Transfer {
  Payload payload = Payload::kWeights;
  Level from = Level::kHost;
  Level to = Level::kDevice;
  PageRange pages{};
  int64_t first_byte = 0;
  int64_t bytes = 0;
  Urgency urgency = Urgency::kNeeded;
  int16_t part = 0;  // kKv: of the micro-batch, where it attends in parts
  bool operator==(const Transfer&) const = default;
};

// The name of something that happens once: how tasks of different iterations, and the world
// outside the graph, are joined. Which fields a kind uses is the builder's affair; all are
// compared.
struct Event {
  enum class Kind : uint8_t {
    kPageResident,  // index: page
    kTaskDone,      // index: the builder's own numbering of tasks
    kBufferFree,    // index: slot of a weight or staging buffer
    kOutside,       // signalled by the engine
  };
  Kind kind = Kind::kTaskDone;
  int16_t layer = -1;
  uint16_t micro_batch = 0;
  uint32_t index = 0;
  int64_t iteration = 0;
  bool operator==(const Event&) const = default;
};
const char* name(Event::Kind kind);
std::string to_string(const Event& event);

// An event has one signaller, which states how many waits will be made on it, over all iterations:
// after the last one it is forgotten.
struct Signal {
  Event event{};
  uint32_t waits = 1;
  bool operator==(const Signal&) const = default;
};

using TaskIndex = uint32_t;
inline constexpr uint32_t kNone = 0xffffffff;

// A run of one of the subgraph's arrays.
struct Range {
  uint32_t first = 0;
  uint32_t count = 0;
  bool operator==(const Range&) const = default;
};

struct Task {
  std::variant<models::Stage, Transfer> work{};
  Lane lane = Lane::kHostCompute;
  int16_t layer = -1;
  uint16_t micro_batch = 0;
  uint32_t expansion = kNone;  // index of the expansion point that this task is
  Range dependencies{};        // filled by Subgraph
  Range waits{};
  Range signals{};
  Range pages{};     // that must stay where they are while the task runs
  int64_t rank = 0;  // of a lane's ready tasks the lowest (rank, iteration, index) runs first
  int64_t predicted_ns = 0;  // 0: not predicted

  const models::Stage* stage() const { return std::get_if<models::Stage>(&work); }
  const Transfer* transfer() const { return std::get_if<Transfer>(&work); }
  bool operator==(const Task&) const = default;
};

// A task of a rolling graph: which iteration's slot, and which of its tasks.
struct TaskRef {
  uint32_t slot = 0;
  TaskIndex task = 0;
  bool operator==(const TaskRef&) const = default;
};

// "L03 qkv mb1", "L04 weights host>device mb0 p12+4"
std::string label(const Task& task);

}  // namespace sluice::schedule
