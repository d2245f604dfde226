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
// Measured here; stated by whoever made or described the machine; assumed for want of either, and
// said to be.
enum class Source : uint8_t { kMeasured, kStated, kAssumed };

const char* name(LevelKind kind);  // "device", "host", "disk"
const char* name(Source source);   // "measured", "stated", "assumed"

// By field, as it is called here: the source of those whose source is not the machine's.
using Sources = std::map<std::string, Source>;

// What the project's kernels for experts reach with this many tokens for each in the mean, spread
// as an even router spreads them, all threads at work and the experts' weights far beyond the
// caches: one point of a curve.
struct KernelRate {
  std::string format;  // of the weights, as tensor::info() names it: "bf16", "q8_0"
  int64_t tokens_per_expert = 0;
  double flops_per_second = 0.0;  // two for each weight and token
  double bytes_per_second = 0.0;  // of weights that were read

  bool operator==(const KernelRate&) const = default;
};

// What attention over a KV cache far beyond the caches reaches: one point of a curve.
struct AttendRate {
  std::string format;             // of keys and values, as kernels::name() has it: "bf16", "q8"
  int64_t queries_per_key = 0;    // rows times query heads that share a key
  double flops_per_second = 0.0;  // 4 head_dim + 5 for each query and key

  bool operator==(const AttendRate&) const = default;
};

// What writing new keys and values into such a cache reaches.
struct StoreRate {
  std::string format;             // as of AttendRate
  int64_t rows = 0;               // of one sequence at a time
  double bytes_per_second = 0.0;  // of keys and values as they are kept

  bool operator==(const StoreRate&) const = default;
};

// What computes on the data of a level.
struct Compute {
  std::string model;  // as the CPU or driver calls it
  std::string isa;    // kernels::name() of the ISA, or the device's architecture
  int threads = 0;
  std::map<std::string, double> peak_flops;  // per second, by dtype: "f32", "bf16", "int8"
  std::vector<KernelRate> kernel_rates;      // sorted by format, then tokens; one for each pair
  std::vector<AttendRate> attend_rates;      // sorted by format, then queries; likewise
  std::vector<StoreRate> store_rates;        // sorted by format, then rows; likewise
  std::optional<double> launch_us;  // of a kernel with next to nothing to do, on all threads

  bool operator==(const Compute&) const = default;
};

// Bandwidth of a host's memory by threads. A copy counts each byte once, though it is read and
// written.
struct ThreadRate {
  int threads = 0;
  double read_bytes_per_second = 0.0;
  double write_bytes_per_second = 0.0;
  double copy_bytes_per_second = 0.0;

  bool operator==(const ThreadRate&) const = default;
};

// What all threads read of the memory of one node.
struct NodeRate {
  int node = 0;
  double read_bytes_per_second = 0.0;

  bool operator==(const NodeRate&) const = default;
};

// What a disk gives with so many reads of one size under way.
struct DiskRate {
  int64_t request_bytes = 0;
  int64_t queue_depth = 0;
  double bytes_per_second = 0.0;

  bool operator==(const DiskRate&) const = default;
};

// How a disk is read at its level's read_bytes_per_second, and how that is known.
struct DiskReads {
  int64_t request_bytes = 0;    // the smallest reads, and the fewest of them,
  int64_t queue_depth = 0;      // under way at once, that reach it
  std::string method;           // who read: "io_uring, direct"; "threads, page cache"
  std::string directory;        // of the file system
  std::vector<DiskRate> rates;  // of all sizes and depths that were tried, if any is known

  bool operator==(const DiskReads&) const = default;
};

struct Level {
  std::string name;  // unique: "host", "cuda0", "nvme0"
  LevelKind kind = LevelKind::kHost;
  int64_t capacity_bytes = 0;
  double read_bytes_per_second = 0.0;  // with all threads, far beyond the caches; of a disk, as
                                       // disk_reads says
  std::optional<double> write_bytes_per_second, copy_bytes_per_second;  // as of ThreadRate
  std::optional<double> idle_watts, busy_watts;
  int memory_nodes = 1;  // of a host, over which its memory was interleaved for the figures above
  std::vector<ThreadRate> thread_rates;  // by threads, growing; of a host alone
  std::vector<NodeRate> node_rates;      // by node, growing; of a host alone
  std::optional<Compute> compute;
  std::optional<DiskReads> disk_reads;  // of disks alone
  Sources sources;
  std::string origin;  // of what is stated: a datasheet, a paper. Empty: nobody said

  bool operator==(const Level&) const = default;
};

struct Link {
  std::string from, to;           // names of levels; one direction
  double bytes_per_second = 0.0;  // of a large transfer, the other direction idle
  double latency_us = 0.0;        // of a transfer of next to nothing
  // The same of a large transfer while one goes the other way.
  std::optional<double> together_bytes_per_second;
  Sources sources;
  std::string origin;

  bool operator==(const Link&) const = default;
};

struct Hardware {
  std::string name;
  Source source = Source::kStated;
  std::vector<Level> levels;
  std::vector<Link> links;

  const Level* find(std::string_view level) const;
  const Level* find(LevelKind kind) const;  // the first of its kind
  // Where that field of the level or link came from.
  template <class Part>
  Source source_of(const Part& part, const std::string& field) const {
    const auto differs = part.sources.find(field);
    return differs == part.sources.end() ? source : differs->second;
  }
  bool operator==(const Hardware&) const = default;
};

// The schema of hardware.json, which docs/hardware.md describes. A file of another version is
// refused.
constexpr int64_t kFormatVersion = 2;
constexpr size_t kMaxLevels = 64;
constexpr size_t kMaxLinks = 1024;
constexpr size_t kMaxRates = 4096;  // in each list of them

Json to_json(const Hardware& hardware);

// Errors name the field. Unknown fields, names used twice, links to nowhere and figures that are
// not positive are refused.
Result<Hardware> from_json(const Json& json);

// hardware.json, read and written whole: a reader never sees half a file.
Result<Hardware> read_file(const std::string& path);
Status write_file(const Hardware& hardware, const std::string& path);

}  // namespace sluice::hardware
