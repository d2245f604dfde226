#include "sim/world.h"

namespace sluice::sim {
namespace {

// By Happening.
constexpr std::array<const char*, kHappenings> kNames = {
    "events",
    "iterations",
    "tasks",
    "pages read",
    "embedding rows read",
    "KiB of keys and values read",
    "KiB of keys and values written",
    "pages read again",
    "read errors that pass",
    "pages gone bad",
    "flipped bits",
    "short reads",
    "stalls",
    "reads that hang",
    "device faults",
    "full devices",
    "transfers without room",
    "write errors",
    "full disks",
    "kills",
    "losses of power",
    "torn writes",
    "outputs replaced",
    "stop requests",
    "resumes",
    "runs ended by a fault",
    "preemptions",
    "changes of micro-batch",
    "prompts with a shared prefix",
    "answers",
    "error lines",
    "requests that failed",
};
static_assert(kNames.back() != nullptr, "each has one");

}  // namespace

const char* name(Happening happening) { return kNames[static_cast<size_t>(happening)]; }

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
  dead_ = false;
  kill_in_events_ = kill_in_events;
}

}  // namespace sluice::sim
