// What all parts of one simulated run share: the draws, the time, the log of events, what was
// broken, and whether the process is still alive.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sim/random.h"
#include "sim/virtual_clock.h"

namespace sluice::sim {

// What befell a run, counted for the summary: a simulation in which nothing happens proves nothing.
enum class Happening : uint8_t {
  kEvent,
  kIteration,
  kTask,
  kPageRead,
  kRowRead,  // of an embedding on disk
  kKvRead,   // of a cache on disk
  kKvWritten,
  kPageRetry,
  kReadError,   // that passes
  kBadPage,     // that stays
  kFlippedBit,  // that passes
  kShortRead,
  kStall,        // of a read or a transfer
  kHungDisk,     // for longer than the limit
  kLaneFault,    // a transfer over a link or a task of the device that fails
  kFullDevice,   // with less memory than it is said to have
  kBlockedLane,  // a transfer that found no room
  kWriteError,
  kFullDisk,
  kKill,
  kPowerLoss,
  kTornWrite,
  kReplacedFile,  // an output whose failed lines were taken out
  kStopRequest,
  kResume,
  kFailedRun,  // that ended with a sentence
  kPreemption,
  kMoved,  // a sequence, to another micro-batch
  kSharedPrefix,
  kAnswer,
  kErrorLine,
  kFaultLine,  // a request that failed by a fault of the machine, as seen after a run
};
inline constexpr int kHappenings = 32;
const char* name(Happening happening);

struct Counts {
  std::array<int64_t, kHappenings> of{};
  int64_t& operator[](Happening h) { return of[static_cast<size_t>(h)]; }
  int64_t operator[](Happening h) const { return of[static_cast<size_t>(h)]; }
  Counts& operator+=(const Counts& other);
};

class World {
 public:
  // `events` may be null: where each event's line goes.
  World(uint64_t seed, std::FILE* events) : random(seed), events_(events) {}

  Random random;
  VirtualClock clock;
  Counts counts;

  // One line of the log. The log's hash is the run's identity: the same seed gives the same one.
  // `text` names no path and no address.
  void log(std::string_view text);
  // The same, as an event at which the process may be killed.
  void event(std::string_view text);
  uint64_t hash() const { return hash_; }

  // An invariant that does not hold; the first one is kept.
  void violated(const std::string& what);
  const std::string& violation() const { return violation_; }
  bool sound() const { return violation_.empty(); }

  // Of the process that is simulated. What is dead does nothing any more: calls to files, lanes and
  // the disk fail at once and change nothing.
  bool dead() const { return dead_; }
  void die(const char* how);
  void live(int64_t kill_in_events);  // 0: never
  static Error killed() { return {ErrorCode::kFault, "the process was killed"}; }

 private:
  std::FILE* events_;
  uint64_t hash_ = 0xcbf29ce484222325u;
  std::string violation_;
  bool dead_ = false;
  int64_t kill_in_events_ = 0;
};

}  // namespace sluice::sim
