#include <cmath>
#include <initializer_list>

#include "base/numa.h"
#include "hardware/hardware.h"

namespace sluice::hardware {
namespace {

using base::field;

Error invalid(const std::string& where, const std::string& what) {
  return {ErrorCode::kInvalid, where + ": " + what};
}

Status only(const Json& object, std::initializer_list<std::string_view> known,
            const std::string& where) {
  if (!object.is_object()) return invalid(where, "expected an object");
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return invalid(where, "unknown field '" + key + "'");
  }
  return {};
}

Result<double> positive(const Json& object, const char* key, const std::string& where) {
  SLUICE_ASSIGN(const double value, field<double>(object, key, where));
  if (!std::isfinite(value) || value <= 0.0)
    return invalid(where, std::string("'") + key + "' must be a positive number");
  return value;
}

Result<std::optional<double>> maybe_positive(const Json& object, const char* key,
                                             const std::string& where) {
  if (!object.contains(key) || object[key].is_null()) return std::optional<double>{};
  SLUICE_ASSIGN(const double value, positive(object, key, where));
  return std::optional<double>{value};
}

Result<Compute> read_compute(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json, {"model", "isa", "threads", "peak_flops"}, where));
  Compute compute;
  SLUICE_ASSIGN(compute.model, field<std::string>(json, "model", where));
  SLUICE_ASSIGN(compute.isa, field<std::string>(json, "isa", where));
  SLUICE_ASSIGN(const int64_t threads, field<int64_t>(json, "threads", where));
  if (threads < 1 || threads > 65536) return invalid(where, "'threads' must be 1 to 65536");
  compute.threads = static_cast<int>(threads);
  if (!json.contains("peak_flops")) return invalid(where, "'peak_flops' is missing");
  const std::string peaks = where + ".peak_flops";
  SLUICE_TRY(only(json["peak_flops"], {"f32", "f16", "bf16", "int8", "fp8", "int4"}, peaks));
  for (const auto& [dtype, value] : json["peak_flops"].items()) {
    SLUICE_ASSIGN(compute.peak_flops[dtype], positive(json["peak_flops"], dtype.c_str(), peaks));
  }
  return compute;
}

Result<Source> read_source(const Json& json, const std::string& where) {
  SLUICE_ASSIGN(const std::string source, field<std::string>(json, "source", where));
  for (Source candidate : {Source::kMeasured, Source::kStated})
    if (source == name(candidate)) return candidate;
  return invalid(where, "'source' must be measured or stated, not '" + source + "'");
}

Result<DiskReads> read_disk_reads(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json, {"request_bytes", "queue_depth", "method", "directory", "source"}, where));
  DiskReads reads;
  SLUICE_ASSIGN(reads.request_bytes, field<int64_t>(json, "request_bytes", where));
  if (reads.request_bytes <= 0) return invalid(where, "'request_bytes' must be positive");
  SLUICE_ASSIGN(reads.queue_depth, field<int64_t>(json, "queue_depth", where));
  if (reads.queue_depth <= 0) return invalid(where, "'queue_depth' must be positive");
  SLUICE_ASSIGN(reads.method, field<std::string>(json, "method", where));
  SLUICE_ASSIGN(reads.directory, field<std::string>(json, "directory", where));
  SLUICE_ASSIGN(reads.source, read_source(json, where));
  return reads;
}

Result<Level> read_level(const Json& json, const std::string& where) {
  SLUICE_TRY(only(json,
                  {"name", "kind", "capacity_bytes", "read_bytes_per_second",
                   "write_bytes_per_second", "power_watts", "memory_nodes", "compute",
                   "disk_reads"},
                  where));
  Level level;
  SLUICE_ASSIGN(level.name, field<std::string>(json, "name", where));
  SLUICE_ASSIGN(const std::string kind, field<std::string>(json, "kind", where));
  bool known = false;
  for (LevelKind candidate : {LevelKind::kDevice, LevelKind::kHost, LevelKind::kDisk}) {
    if (kind != name(candidate)) continue;
    level.kind = candidate;
    known = true;
  }
  if (!known) return invalid(where, "'kind' must be device, host or disk, not '" + kind + "'");
  SLUICE_ASSIGN(level.capacity_bytes, field<int64_t>(json, "capacity_bytes", where));
  if (level.capacity_bytes <= 0) return invalid(where, "'capacity_bytes' must be positive");
  SLUICE_ASSIGN(level.read_bytes_per_second, positive(json, "read_bytes_per_second", where));
  SLUICE_ASSIGN(level.write_bytes_per_second,
                maybe_positive(json, "write_bytes_per_second", where));
  SLUICE_ASSIGN(level.power_watts, maybe_positive(json, "power_watts", where));
  SLUICE_ASSIGN(const int64_t nodes, base::field_or<int64_t>(json, "memory_nodes", 1, where));
  if (nodes < 1 || nodes > base::kMaxNumaNodes)
    return invalid(where, "'memory_nodes' must be 1 to " + std::to_string(base::kMaxNumaNodes));
  level.memory_nodes = static_cast<int>(nodes);
  if (json.contains("compute") && !json["compute"].is_null()) {
    SLUICE_ASSIGN(level.compute, read_compute(json["compute"], where + ".compute"));
  }
  if (json.contains("disk_reads") && !json["disk_reads"].is_null()) {
    if (level.kind != LevelKind::kDisk) return invalid(where, "only a disk has 'disk_reads'");
    SLUICE_ASSIGN(level.disk_reads, read_disk_reads(json["disk_reads"], where + ".disk_reads"));
  }
  return level;
}

Result<Link> read_link(const Json& json, const Hardware& hardware, const std::string& where) {
  SLUICE_TRY(only(json, {"from", "to", "bytes_per_second", "latency_us"}, where));
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
  return link;
}

Result<size_t> array_size(const Json& json, const char* key, size_t most) {
  if (!json.contains(key) || !json[key].is_array())
    return invalid("hardware", std::string("'") + key + "' must be an array");
  if (json[key].size() > most)
    return invalid("hardware",
                   std::string("'") + key + "' has more than " + std::to_string(most) + " entries");
  return json[key].size();
}

Json level_json(const Level& level) {
  Json json{{"name", level.name},
            {"kind", name(level.kind)},
            {"capacity_bytes", level.capacity_bytes},
            {"read_bytes_per_second", level.read_bytes_per_second}};
  if (level.write_bytes_per_second) json["write_bytes_per_second"] = *level.write_bytes_per_second;
  if (level.power_watts) json["power_watts"] = *level.power_watts;
  if (level.memory_nodes > 1) json["memory_nodes"] = level.memory_nodes;
  if (level.compute) {
    Json peaks = Json::object();
    for (const auto& [dtype, flops] : level.compute->peak_flops) peaks[dtype] = flops;
    json["compute"] = Json{{"model", level.compute->model},
                           {"isa", level.compute->isa},
                           {"threads", level.compute->threads},
                           {"peak_flops", peaks}};
  }
  if (level.disk_reads) {
    json["disk_reads"] = Json{{"request_bytes", level.disk_reads->request_bytes},
                              {"queue_depth", level.disk_reads->queue_depth},
                              {"method", level.disk_reads->method},
                              {"directory", level.disk_reads->directory},
                              {"source", name(level.disk_reads->source)}};
  }
  return json;
}

}  // namespace

Json to_json(const Hardware& hardware) {
  Json levels = Json::array();
  for (const Level& level : hardware.levels) levels.push_back(level_json(level));
  Json links = Json::array();
  for (const Link& link : hardware.links) {
    links.push_back(Json{{"from", link.from},
                         {"to", link.to},
                         {"bytes_per_second", link.bytes_per_second},
                         {"latency_us", link.latency_us}});
  }
  return Json{{"hardware_version", kFormatVersion},
              {"name", hardware.name},
              {"source", name(hardware.source)},
              {"levels", levels},
              {"links", links}};
}

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
  SLUICE_ASSIGN(hardware.source, read_source(json, where));
  SLUICE_ASSIGN(const size_t levels, array_size(json, "levels", kMaxLevels));
  for (size_t i = 0; i < levels; ++i) {
    const std::string at = "levels[" + std::to_string(i) + "]";
    SLUICE_ASSIGN(Level level, read_level(json["levels"][i], at));
    if (hardware.find(level.name) != nullptr)
      return invalid(at, "the name '" + level.name + "' is used twice");
    hardware.levels.push_back(std::move(level));
  }
  SLUICE_ASSIGN(const size_t links, array_size(json, "links", kMaxLinks));
  for (size_t i = 0; i < links; ++i) {
    SLUICE_ASSIGN(Link link,
                  read_link(json["links"][i], hardware, "links[" + std::to_string(i) + "]"));
    hardware.links.push_back(std::move(link));
  }
  return hardware;
}

}  // namespace sluice::hardware
