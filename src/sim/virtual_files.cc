#include "sim/virtual_files.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::sim {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

std::string label_of(const std::string& path) { return fs::path(path).filename().string(); }

}  // namespace

void VirtualFiles::begin(const FileTrouble& trouble) {
  trouble_ = trouble;
  failed_ = false;
}

VirtualFiles::State& VirtualFiles::state_of(const std::string& path) { return files_[path]; }

// Before every call: what is dead calls nothing.
int VirtualFiles::fault() {
  if (world_.dead()) return EIO;
  if (!world_.random.chance(trouble_.error)) return 0;
  failed_ = true;
  ++world_.counts[Happening::kWriteError];
  return EIO;
}

// What is there when a file is first opened has been there since the last run ended.
int VirtualFiles::before_open(const std::string& path) {
  if (world_.dead()) return EIO;
  if (files_.contains(path)) return 0;
  State state;
  state.name_durable = fs::exists(path);
  if (state.name_durable) state.durable = bytes_of(path);
  state.kept_bytes = static_cast<int64_t>(state.durable.size());
  files_.emplace(path, std::move(state));
  return 0;
}

int VirtualFiles::before_write(const std::string& path, size_t& bytes) {
  const size_t wanted = bytes;
  if (const int error = fault(); error != 0) {
    const auto most = static_cast<int64_t>(wanted);
    bytes = world_.dead() || most == 0 ? 0 : static_cast<size_t>(world_.random.below(most));
    return error;
  }
  if (trouble_.kill_at_write > 0 && --trouble_.kill_at_write == 0) {
    bytes = static_cast<size_t>(world_.random.below(static_cast<int64_t>(wanted) + 1));
    world_.log("write to " + label_of(path) + ": " + std::to_string(bytes) + " of " +
               std::to_string(wanted) + " bytes");
    ++world_.counts[Happening::kTornWrite];
    world_.die("killed within a write");
    return EIO;
  }
  world_.event("write to " + label_of(path) + ": " + std::to_string(wanted) + " bytes");
  if (world_.dead()) {
    bytes = 0;
    return EIO;
  }
  if (trouble_.room_bytes < 0) return 0;
  bytes = static_cast<size_t>(std::min(static_cast<int64_t>(wanted), trouble_.room_bytes));
  trouble_.room_bytes -= static_cast<int64_t>(bytes);
  if (bytes == wanted) return 0;
  failed_ = true;
  ++world_.counts[Happening::kFullDisk];
  return ENOSPC;
}

int VirtualFiles::before_truncate(const std::string& path, int64_t bytes) {
  if (const int error = fault(); error != 0) return error;
  State& state = state_of(path);
  state.kept_bytes = std::min(state.kept_bytes, bytes);
  world_.event("cut " + label_of(path) + " to " + std::to_string(bytes) + " bytes");
  return world_.dead() ? EIO : 0;
}

int VirtualFiles::before_sync(const std::string& path) {
  if (const int error = fault(); error != 0) return error;
  world_.event("sync " + label_of(path));
  if (world_.dead()) return EIO;
  if (trouble_.syncs_lie) return 0;
  State& state = state_of(path);
  state.durable = bytes_of(path);
  state.kept_bytes = static_cast<int64_t>(state.durable.size());
  return 0;
}

int VirtualFiles::before_rename(const std::string& from, const std::string& to) {
  if (const int error = fault(); error != 0) return error;
  world_.event("name " + label_of(from) + " " + label_of(to));
  if (world_.dead()) return EIO;
  ++world_.counts[Happening::kReplacedFile];
  State moved = std::move(state_of(from));
  files_.erase(from);
  moved.name_durable = false;
  if (const auto old = files_.find(to); old != files_.end())
    moved.before = survivor(old->second, bytes_of(to));
  files_[to] = std::move(moved);
  return 0;
}

int VirtualFiles::before_remove(const std::string& path) {
  if (const int error = fault(); error != 0) return error;
  if (!fs::exists(path)) return 0;
  world_.event("remove " + label_of(path));
  if (world_.dead()) return EIO;
  files_.erase(path);
  return 0;
}

int VirtualFiles::before_sync_directory(const std::string& path) {
  if (const int error = fault(); error != 0) return error;
  world_.event("sync the directory");
  if (world_.dead()) return EIO;
  const fs::path directory = fs::path(path).parent_path();
  for (auto& [other, state] : files_) {
    if (fs::path(other).parent_path() != directory) continue;
    state.name_durable = true;
    state.before.reset();
  }
  return 0;
}

std::string VirtualFiles::survivor(const State& state, const std::string& now) {
  Random& random = world_.random;
  const auto kept = static_cast<size_t>(state.kept_bytes);
  const bool was_cut = kept < state.durable.size();
  if (was_cut && random.chance(0.3)) return state.durable;  // the cut itself was lost
  std::string left = now;
  const auto size = static_cast<int64_t>(now.size());
  if (size > state.kept_bytes) {
    left.resize(static_cast<size_t>(random.between(state.kept_bytes, size)));
    const auto tail = static_cast<int64_t>(left.size()) - state.kept_bytes;
    if (tail > 0 && random.chance(0.3)) {  // a part that was not written, before one that was
      const auto from = kept + static_cast<size_t>(random.below(tail));
      const auto bytes = 1 + random.below(static_cast<int64_t>(left.size() - from));
      std::fill_n(left.begin() + static_cast<ptrdiff_t>(from), bytes, '\0');
    }
  }
  return left;
}

void VirtualFiles::power_lost() {
  ++world_.counts[Happening::kPowerLoss];
  for (auto& [path, state] : files_) {
    if (!fs::exists(path)) continue;
    const bool name_lost = !state.name_durable && world_.random.chance(0.5);
    if (name_lost && !state.before) {
      fs::remove(path);
      world_.log("lost: " + label_of(path));
      continue;
    }
    const std::string left = name_lost ? *state.before : survivor(state, bytes_of(path));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << left;
    world_.log("left of " + label_of(path) + ": " + std::to_string(left.size()) + " bytes");
  }
  files_.clear();
}

}  // namespace sluice::sim
