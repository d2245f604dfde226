#include "engine/cgroup_memory.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace sluice::engine {
namespace {

// One interface's names. Version 1 states a number close to 2^63 for no limit, version 2 "max".
struct Interface {
  const char* limit;
  const char* use;
  const char* reclaimable;  // in memory.stat
};
constexpr Interface kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                 "total_inactive_file"};
constexpr Interface kVersion2 = {"memory.max", "memory.current", "inactive_file"};
constexpr int64_t kLargestLimit = int64_t{1} << 60;

int64_t number_in(const std::filesystem::path& path, int64_t otherwise) {
  std::ifstream in(path);
  int64_t value = 0;
  return in >> value ? value : otherwise;
}

int64_t number_of(const std::filesystem::path& path, const std::string& wanted) {
  std::ifstream in(path);
  std::string key;
  int64_t value = 0;
  while (in >> key >> value) {
    if (key == wanted) return value;
  }
  return 0;
}

int64_t left_in(const std::filesystem::path& group, const Interface& names) {
  const int64_t limit = number_in(group / names.limit, kNoMemoryLimit);
  if (limit >= kLargestLimit) return kNoMemoryLimit;
  const int64_t used = number_in(group / names.use, 0);
  const int64_t reclaimable = number_of(group / "memory.stat", names.reclaimable);
  return std::max<int64_t>(limit - std::max<int64_t>(used - reclaimable, 0), 0);
}

// The group at `path` below `root`, and all above it up to the root itself.
int64_t left_on_the_way(const std::filesystem::path& root, std::string path,
                        const Interface& names) {
  int64_t left = left_in(root, names);
  for (; path.size() > 1; path.resize(path.find_last_of('/'))) {
    left = std::min(left, left_in(root / path.substr(1), names));
  }
  return left;
}

bool lists(const std::string& controllers, const std::string& wanted) {
  return ("," + controllers + ",").find("," + wanted + ",") != std::string::npos;
}

}  // namespace

// Lines are "number:controllers:/path"; version 2 has number 0 and no controllers.
int64_t cgroup_memory_left(const std::filesystem::path& membership,
                           const std::filesystem::path& root) {
  int64_t left = kNoMemoryLimit;
  std::ifstream in(membership);
  std::string line;
  while (std::getline(in, line)) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (path.empty() || path.front() != '/') continue;
    if (controllers.empty()) left = std::min(left, left_on_the_way(root, path, kVersion2));
    if (lists(controllers, "memory")) {
      left = std::min(left, left_on_the_way(root / "memory", path, kVersion1));
    }
  }
  return left;
}

}  // namespace sluice::engine
