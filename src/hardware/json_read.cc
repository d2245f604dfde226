#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <tuple>

#include "base/numa.h"
#include "hardware/hardware.h"
#include "hardware/json_fields.h"

namespace sluice::hardware {
namespace {

using base::field;

constexpr int64_t kMaxThreads = 65536;

Result<Source> parse_source(const std::string& text, const std::string& where) {
  for (Source candidate : {Source::kMeasured, Source::kStated, Source::kAssumed})
    if (text == name(candidate)) return candidate;
  return invalid(where, "'source' must be measured, stated or assumed, not '" + text + "'");
}

// `object` is a level or a link: both may say where its fields came from.
template <class Part>
Status read_sources(const Json& object, Part& part, const std::string& where) {
  SLUICE_ASSIGN(part.origin, base::field_or<std::string>(object, "origin", "", where));
  if (!object.contains("sources")) return {};
  const std::string at = where + ".sources";
  if (!object["sources"].is_object()) return invalid(at, "expected an object");
  for (const auto& [key, value] : object["sources"].items()) {
    const bool of_compute = object.contains("compute") && object["compute"].contains(key);
    if (!object.contains(key) && !of_compute) return invalid(at, "there is no field '" + key + "'");
    SLUICE_ASSIGN(const std::string text, field<std::string>(object["sources"], key.c_str(), at));
    SLUICE_ASSIGN(part.sources[key], parse_source(text, at));
  }
  return {};
}

Result<size_t> array_size(const Json& json, const char* key, size_t most,
                          const std::string& where) {
  if (!json.contains(key) || !json[key].is_array())
    return invalid(where, std::string("'") + key + "' must be an array");
  if (json[key].size() > most)
    return invalid(where,
                   std::string("'") + key + "' has more than " + std::to_string(most) + " entries");
  return json[key].size();
}

// A list of rates, sorted by `order` without two that are alike; empty where there is none.
template <class Rate, class Read, class Order>
Result<std::vector<Rate>> read_rates(const Json& json, const char* key, const std::string& where,
                                     Read read, Order order) {
  std::vector<Rate> rates;
  if (!json.contains(key)) return rates;
  SLUICE_ASSIGN(const size_t size, array_size(json, key, kMaxRates, where));
  for (size_t i = 0; i < size; ++i) {
    const std::string at = where + "." + key + "[" + std::to_string(i) + "]";
    SLUICE_ASSIGN(Rate rate, read(json[key][i], at));
    if (!rates.empty() && !(std::invoke(order, rates.back()) < std::invoke(order, rate)))
      return invalid(at, "it must stand in order behind the one before");
    rates.push_back(std::move(rate));
  }
  return rates;
}

Result<KernelRate> read_kernel_rate(const Json& json, const std::string& where) {
  SLUICE_TRY(
      only(json, {"format", "tokens_per_expert", "flops_per_second", "bytes_per_second"}, where));
  KernelRate rate;
  SLUICE_ASSIGN(rate.format, field<std::string>(json, "format", where));
  SLUICE_ASSIGN(rate.tokens_per_expert, count(json, "tokens_per_expert", where));
  SLUICE_ASSIGN(rate.flops_per_second, positive(json, "flops_per_second", where));
  SLUICE_ASSIGN(rate.bytes_per_second, positive(json, "bytes_per_second", where));
  return rate;
}

Result<AttendRate> read_attend_rate(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json, {"format", "queries_per_key", "flops_per_second"}, where));
  AttendRate rate;
  SLUICE_ASSIGN(rate.format, field<std::string>(json, "format", where));
  SLUICE_ASSIGN(rate.queries_per_key, count(json, "queries_per_key", where));
  SLUICE_ASSIGN(rate.flops_per_second, positive(json, "flops_per_second", where));
  return rate;
}

Result<StoreRate> read_store_rate(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json, {"format", "rows", "bytes_per_second"}, where));
  StoreRate rate;
  SLUICE_ASSIGN(rate.format, field<std::string>(json, "format", where));
  SLUICE_ASSIGN(rate.rows, count(json, "rows", where));
  SLUICE_ASSIGN(rate.bytes_per_second, positive(json, "bytes_per_second", where));
  return rate;
}

Result<ThreadRate> read_thread_rate(const Json& json, const std::string& where) {
  SLUICE_TRY(only(
      json, {"threads", "read_bytes_per_second", "write_bytes_per_second", "copy_bytes_per_second"},
      where));
  ThreadRate rate;
  SLUICE_ASSIGN(const int64_t threads, count(json, "threads", where));
  if (threads > kMaxThreads)
    return invalid(where, "'threads' must be 1 to " + std::to_string(kMaxThreads));
  rate.threads = static_cast<int>(threads);
  SLUICE_ASSIGN(rate.read_bytes_per_second, positive(json, "read_bytes_per_second", where));
  SLUICE_ASSIGN(rate.write_bytes_per_second, positive(json, "write_bytes_per_second", where));
  SLUICE_ASSIGN(rate.copy_bytes_per_second, positive(json, "copy_bytes_per_second", where));
  return rate;
}

Result<NodeRate> read_node_rate(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json, {"node", "read_bytes_per_second"}, where));
  NodeRate rate;
  SLUICE_ASSIGN(const int64_t node, field<int64_t>(json, "node", where));
  if (node < 0 || node >= base::kMaxNumaNodes)
    return invalid(where, "'node' must be 0 to " + std::to_string(base::kMaxNumaNodes - 1));
  rate.node = static_cast<int>(node);
  SLUICE_ASSIGN(rate.read_bytes_per_second, positive(json, "read_bytes_per_second", where));
  return rate;
}

Result<DiskRate> read_disk_rate(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json, {"request_bytes", "queue_depth", "bytes_per_second"}, where));
  DiskRate rate;
  SLUICE_ASSIGN(rate.request_bytes, count(json, "request_bytes", where));
  SLUICE_ASSIGN(rate.queue_depth, count(json, "queue_depth", where));
  SLUICE_ASSIGN(rate.bytes_per_second, positive(json, "bytes_per_second", where));
  return rate;
}

Result<Compute> read_compute(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json,
                  {"model", "isa", "threads", "peak_flops", "kernel_rates", "attend_rates",
                   "store_rates", "launch_us"},
                  where));
  Compute compute;
  SLUICE_ASSIGN(compute.model, field<std::string>(json, "model", where));
  SLUICE_ASSIGN(compute.isa, field<std::string>(json, "isa", where));
  SLUICE_ASSIGN(const int64_t threads, field<int64_t>(json, "threads", where));
  if (threads < 1 || threads > kMaxThreads)
    return invalid(where, "'threads' must be 1 to " + std::to_string(kMaxThreads));
  compute.threads = static_cast<int>(threads);
  if (!json.contains("peak_flops")) return invalid(where, "'peak_flops' is missing");
  const std::string peaks = where + ".peak_flops";
  SLUICE_TRY(only(json["peak_flops"], {"f32", "f16", "bf16", "int8", "fp8", "int4"}, peaks));
  for (const auto& [dtype, value] : json["peak_flops"].items()) {
    SLUICE_ASSIGN(compute.peak_flops[dtype], positive(json["peak_flops"], dtype.c_str(), peaks));
  }
  SLUICE_ASSIGN(compute.kernel_rates,
                read_rates<KernelRate>(json, "kernel_rates", where, read_kernel_rate,
                                       [](const KernelRate& rate) {
                                         return std::tuple(rate.format, rate.tokens_per_expert);
                                       }));
  SLUICE_ASSIGN(compute.attend_rates,
                read_rates<AttendRate>(json, "attend_rates", where, read_attend_rate,
                                       [](const AttendRate& rate) {
                                         return std::tuple(rate.format, rate.queries_per_key);
                                       }));
  SLUICE_ASSIGN(
      compute.store_rates,
      read_rates<StoreRate>(json, "store_rates", where, read_store_rate, [](const StoreRate& rate) {
        return std::tuple(rate.format, rate.rows);
      }));
  SLUICE_ASSIGN(compute.launch_us, maybe_positive(json, "launch_us", where));
  return compute;
}

Result<DiskReads> read_disk_reads(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json, {"request_bytes", "queue_depth", "method", "directory", "rates"}, where));
  DiskReads reads;
  SLUICE_ASSIGN(reads.request_bytes, count(json, "request_bytes", where));
  SLUICE_ASSIGN(reads.queue_depth, count(json, "queue_depth", where));
  SLUICE_ASSIGN(reads.method, field<std::string>(json, "method", where));
  SLUICE_ASSIGN(reads.directory, field<std::string>(json, "directory", where));
  SLUICE_ASSIGN(reads.rates, read_rates<DiskRate>(
                                 json, "rates", where, read_disk_rate, [](const DiskRate& rate) {
                                   return std::tuple(rate.request_bytes, rate.queue_depth);
                                 }));
  return reads;
}

Result<LevelKind> read_kind(const Json& json, const std::string& where) {
  SLUICE_ASSIGN(const std::string kind, field<std::string>(json, "kind", where));
  for (LevelKind candidate : {LevelKind::kDevice, LevelKind::kHost, LevelKind::kDisk})
    if (kind == name(candidate)) return candidate;
  return invalid(where, "'kind' must be device, host or disk, not '" + kind + "'");
}

Status read_memory(const Json& json, Level& level, const std::string& where) {
  SLUICE_ASSIGN(const int64_t nodes, base::field_or<int64_t>(json, "memory_nodes", 1, where));
  if (nodes < 1 || nodes > base::kMaxNumaNodes)
    return invalid(where, "'memory_nodes' must be 1 to " + std::to_string(base::kMaxNumaNodes));
  level.memory_nodes = static_cast<int>(nodes);
  for (const char* key : {"thread_rates", "node_rates"}) {
    if (json.contains(key) && level.kind != LevelKind::kHost)
      return invalid(where, std::string("only a host has '") + key + "'");
  }
  SLUICE_ASSIGN(level.thread_rates, read_rates<ThreadRate>(json, "thread_rates", where,
                                                           read_thread_rate, &ThreadRate::threads));
  SLUICE_ASSIGN(level.node_rates,
                read_rates<NodeRate>(json, "node_rates", where, read_node_rate, &NodeRate::node));
  return {};
}

Result<Level> read_level(const Json& json, const std::string& where) {
  SLUICE_TRY(
      only(json,
           {"name", "kind", "capacity_bytes", "read_bytes_per_second", "write_bytes_per_second",
            "copy_bytes_per_second", "idle_watts", "busy_watts", "memory_nodes", "thread_rates",
            "node_rates", "compute", "disk_reads", "sources", "origin"},
           where));
  Level level;
  SLUICE_ASSIGN(level.name, field<std::string>(json, "name", where));
  SLUICE_ASSIGN(level.kind, read_kind(json, where));
  SLUICE_ASSIGN(level.capacity_bytes, count(json, "capacity_bytes", where));
  SLUICE_ASSIGN(level.read_bytes_per_second, positive(json, "read_bytes_per_second", where));
  SLUICE_ASSIGN(level.write_bytes_per_second,
                maybe_positive(json, "write_bytes_per_second", where));
  SLUICE_ASSIGN(level.copy_bytes_per_second, maybe_positive(json, "copy_bytes_per_second", where));
  SLUICE_ASSIGN(level.idle_watts, maybe_positive(json, "idle_watts", where));
  SLUICE_ASSIGN(level.busy_watts, maybe_positive(json, "busy_watts", where));
  SLUICE_TRY(read_memory(json, level, where));
  if (json.contains("compute") && !json["compute"].is_null()) {
    SLUICE_ASSIGN(level.compute, read_compute(json["compute"], where + ".compute"));
  }
  if (json.contains("disk_reads") && !json["disk_reads"].is_null()) {
    if (level.kind != LevelKind::kDisk) return invalid(where, "only a disk has 'disk_reads'");
    SLUICE_ASSIGN(level.disk_reads, read_disk_reads(json["disk_reads"], where + ".disk_reads"));
  }
  SLUICE_TRY(read_sources(json, level, where));
  return level;
}

Result<Link> read_link(const Json& json, const Hardware& hardware, const std::string& where) {
  SLUICE_TRY(only(json,
                  {"from", "to", "bytes_per_second", "latency_us", "together_bytes_per_second",
                   "sources", "origin"},
                  where));
  Link link;
  SLUICE_ASSIGN(link.from, field<std::string>(json, "from", where));
  SLUICE_ASSIGN(link.to, field<std::string>(json, "to", where));
  for (const std::string& end : {link.from, link.to})
    if (hardware.find(end) == nullptr) return invalid(where, "no level is called '" + end + "'");
  if (link.from == link.to) return invalid(where, "a link joins two different levels");
  SLUICE_ASSIGN(link.bytes_per_second, positive(json, "bytes_per_second", where));
  SLUICE_ASSIGN(link.latency_us, field<double>(json, "latency_us", where));
  if (!std::isfinite(link.latency_us) || link.latency_us < 0.0)
    return invalid(where, "'latency_us' must not be negative");
  SLUICE_ASSIGN(link.together_bytes_per_second,
                maybe_positive(json, "together_bytes_per_second", where));
  SLUICE_TRY(read_sources(json, link, where));
  return link;
}

}  // namespace

Result<Hardware> from_json(const Json& json) {
  const std::string where = "hardware";
  SLUICE_TRY(only(json, {"hardware_version", "name", "source", "levels", "links"}, where));
  SLUICE_ASSIGN(const int64_t version, field<int64_t>(json, "hardware_version", where));
  if (version != kFormatVersion) {
    return Error{ErrorCode::kUnsupported, "hardware_version " + std::to_string(version) +
                                              " is not " + std::to_string(kFormatVersion) +
                                              ": measure again with this sluice"};
  }
  Hardware hardware;
  SLUICE_ASSIGN(hardware.name, field<std::string>(json, "name", where));
  SLUICE_ASSIGN(const std::string source, field<std::string>(json, "source", where));
  SLUICE_ASSIGN(hardware.source, parse_source(source, where));
  SLUICE_ASSIGN(const size_t levels, array_size(json, "levels", kMaxLevels, where));
  for (size_t i = 0; i < levels; ++i) {
    const std::string at = "levels[" + std::to_string(i) + "]";
    SLUICE_ASSIGN(Level level, read_level(json["levels"][i], at));
    if (hardware.find(level.name) != nullptr)
      return invalid(at, "the name '" + level.name + "' is used twice");
    hardware.levels.push_back(std::move(level));
  }
  SLUICE_ASSIGN(const size_t links, array_size(json, "links", kMaxLinks, where));
  for (size_t i = 0; i < links; ++i) {
    SLUICE_ASSIGN(Link link,
                  read_link(json["links"][i], hardware, "links[" + std::to_string(i) + "]"));
    hardware.links.push_back(std::move(link));
  }
  return hardware;
}

}  // namespace sluice::hardware
