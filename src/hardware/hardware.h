// What a machine is, as data: levels of memory, what computes beside them, and the links between
// them. Measured by probe, or the JSON of a machine that is not here. A figure that nobody measured
// or stated is absent, never guessed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace sluice::hardware {

enum class LevelKind : uint8_t { kDevice, kHost, kDisk };
enum class Source : uint8_t { kMeasured, kStated };

const char* name(LevelKind kind);  // "device", "host", "disk"
const char* name(Source source);   // "measured", "stated"

// What computes on the data of a level.
struct Compute {
  std::string model;  // as the CPU or driver calls it
  std::string isa;    // kernels::name() of the ISA, or the device's architecture
  int threads = 0;
  std::map<std::string, double> peak_flops;  // per second, by dtype: "f32", "bf16", "int8"

  bool operator==(const Compute&) const = default;
};

// How a disk is read at its level's read_bytes_per_second, and how that is known.
struct DiskReads {
  int64_t request_bytes = 0;  // the smallest reads, and the fewest of them,
  int64_t queue_depth = 0;    // under way at once, that reach it
  std::string method;         // who read: "io_uring, direct"; "threads, page cache"
  std::string directory;      // of the file system
  Source source = Source::kStated;

  bool operator==(const DiskReads&) const = default;
};

struct Level {
  std::string name;  // unique: "host", "cuda0", "nvme0"
  LevelKind kind = LevelKind::kHost;
  int64_t capacity_bytes = 0;
  double read_bytes_per_second = 0.0;  // with all threads, far beyond the caches; of a disk, as
                                       // disk_reads says
  std::optional<double> write_bytes_per_second;
  std::optional<double> power_watts;
  int memory_nodes = 1;  // of a host, over which its memory was interleaved for the figures above
  std::optional<Compute> compute;
  std::optional<DiskReads> disk_reads;  // of disks alone

  bool operator==(const Level&) const = default;
};

struct Link {
  std::string from, to;  // names of levels; one direction
  double bytes_per_second = 0.0;
  double latency_us = 0.0;

  bool operator==(const Link&) const = default;
};

struct Hardware {
  std::string name;
  Source source = Source::kStated;
  std::vector<Level> levels;
  std::vector<Link> links;

  const Level* find(std::string_view level) const;
  const Level* find(LevelKind kind) const;  // the first of its kind
  bool operator==(const Hardware&) const = default;
};

// The schema of hardware.json. A file of another version is refused.
constexpr int64_t kFormatVersion = 1;
constexpr size_t kMaxLevels = 64;
constexpr size_t kMaxLinks = 1024;

Json to_json(const Hardware& hardware);

// Errors name the field. Unknown fields, names used twice, links to nowhere and figures that are
// not positive are refused.
Result<Hardware> from_json(const Json& json);

// hardware.json, read and written whole: a reader never sees half a file.
Result<Hardware> read_file(const std::string& path);
Status write_file(const Hardware& hardware, const std::string& path);

}  // namespace sluice::hardware
