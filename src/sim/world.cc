#include "sim/world.h"

#include "base/check.h"

namespace sluice::sim {

const char* name(Happening happening) {
  switch (happening) {
    case Happening::kEvent:
      return "events";
    case Happening::kIteration:
      return "iterations";
    case Happening::kTask:
      return "tasks";
    case Happening::kPageRead:
      return "pages read";
    case Happening::kPageRetry:
      return "pages read again";
    case Happening::kReadError:
      return "read errors that pass";
    case Happening::kBadPage:
      return "pages gone bad";
    case Happening::kFlippedBit:
      return "flipped bits";
    case Happening::kShortRead:
      return "short reads";
    case Happening::kStall:
      return "stalls";
    case Happening::kHungDisk:
      return "reads that hang";
    case Happening::kLaneFault:
      return "device faults";
    case Happening::kBlockedLane:
      return "transfers without room";
    case Happening::kWriteError:
      return "write errors";
    case Happening::kFullDisk:
      return "full disks";
    case Happening::kKill:
      return "kills";
    case Happening::kPowerLoss:
      return "losses of power";
    case Happening::kTornWrite:
      return "torn writes";
    case Happening::kReplacedFile:
      return "outputs replaced";
    case Happening::kStopRequest:
      return "stop requests";
    case Happening::kResume:
      return "resumes";
    case Happening::kFailedRun:
      return "runs ended by a fault";
    case Happening::kPreemption:
      return "preemptions";
    case Happening::kSharedPrefix:
      return "prompts with a shared prefix";
    case Happening::kAnswer:
      return "answers";
    case Happening::kFaultLine:
      return "requests that failed";
    case Happening::kErrorLine:
      return "error lines";
  }
  base::check_failed("known happening", "a Happening outside its enum", __FILE__, __LINE__);
}

Counts& Counts::operator+=(const Counts& other) {
  for (size_t i = 0; i < of.size(); ++i) of[i] += other.of[i];
  return *this;
}

void World::log(std::string_view text) {
  // FNV-1a, of the time and the text.
  const auto mix = [this](unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3u; };
  const auto ns = static_cast<uint64_t>(clock.ns());
  for (int i = 0; i < 64; i += 8) mix(static_cast<unsigned char>(ns >> i));
  for (const char c : text) mix(static_cast<unsigned char>(c));
  if (events_ == nullptr) return;
  std::fprintf(events_, "%13.6f ms  %.*s\n", static_cast<double>(ns) * 1e-6 - 1000.0,
               static_cast<int>(text.size()), text.data());
}

void World::event(std::string_view text) {
  log(text);
  ++counts[Happening::kEvent];
  if (kill_in_events_ > 0 && --kill_in_events_ == 0) die("killed");
}

void World::violated(const std::string& what) {
  log("VIOLATED: " + what);
  if (violation_.empty()) violation_ = what;
}

void World::die(const char* how) {
  if (dead_) return;
  dead_ = true;
  log(how);
}

void World::live(int64_t kill_in_events) {
  dead_ = lane_fault_ = false;
  kill_in_events_ = kill_in_events;
}

}  // namespace sluice::sim
