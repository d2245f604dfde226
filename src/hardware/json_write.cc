#include "hardware/hardware.h"

namespace sluice::hardware {
namespace {

void put(Json& json, const char* key, const std::optional<double>& value) {
  if (value) json[key] = *value;
}

void put_sources(Json& json, const Sources& sources, const std::string& origin) {
  if (!origin.empty()) json["origin"] = origin;
  if (sources.empty()) return;
  Json& fields = json["sources"] = Json::object();
  for (const auto& [field, source] : sources) fields[field] = name(source);
}

template <class Rate, class ToJson>
void put_rates(Json& json, const char* key, const std::vector<Rate>& rates, ToJson to_json) {
  if (rates.empty()) return;
  Json& list = json[key] = Json::array();
  for (const Rate& rate : rates) list.push_back(to_json(rate));
}

Json compute_json(const Compute& compute) {
  Json peaks = Json::object();
  for (const auto& [dtype, flops] : compute.peak_flops) peaks[dtype] = flops;
  Json json{{"model", compute.model},
            {"isa", compute.isa},
            {"threads", compute.threads},
            {"peak_flops", peaks}};
  put_rates(json, "kernel_rates", compute.kernel_rates, [](const KernelRate& rate) {
    return Json{{"format", rate.format},
                {"tokens_per_expert", rate.tokens_per_expert},
                {"flops_per_second", rate.flops_per_second},
                {"bytes_per_second", rate.bytes_per_second}};
  });
  put_rates(json, "attend_rates", compute.attend_rates, [](const AttendRate& rate) {
    return Json{{"format", rate.format},
                {"queries_per_key", rate.queries_per_key},
                {"flops_per_second", rate.flops_per_second}};
  });
  put_rates(json, "store_rates", compute.store_rates, [](const StoreRate& rate) {
    return Json{
        {"format", rate.format}, {"rows", rate.rows}, {"bytes_per_second", rate.bytes_per_second}};
  });
  put(json, "launch_us", compute.launch_us);
  return json;
}

Json disk_reads_json(const DiskReads& reads) {
  Json json{{"request_bytes", reads.request_bytes},
            {"queue_depth", reads.queue_depth},
            {"method", reads.method},
            {"directory", reads.directory}};
  put_rates(json, "rates", reads.rates, [](const DiskRate& rate) {
    return Json{{"request_bytes", rate.request_bytes},
                {"queue_depth", rate.queue_depth},
                {"bytes_per_second", rate.bytes_per_second}};
  });
  return json;
}

Json level_json(const Level& level) {
  Json json{{"name", level.name},
            {"kind", name(level.kind)},
            {"capacity_bytes", level.capacity_bytes},
            {"read_bytes_per_second", level.read_bytes_per_second}};
  put(json, "write_bytes_per_second", level.write_bytes_per_second);
  put(json, "copy_bytes_per_second", level.copy_bytes_per_second);
  put(json, "idle_watts", level.idle_watts);
  put(json, "busy_watts", level.busy_watts);
  if (level.memory_nodes > 1) json["memory_nodes"] = level.memory_nodes;
  put_rates(json, "thread_rates", level.thread_rates, [](const ThreadRate& rate) {
    return Json{{"threads", rate.threads},
                {"read_bytes_per_second", rate.read_bytes_per_second},
                {"write_bytes_per_second", rate.write_bytes_per_second},
                {"copy_bytes_per_second", rate.copy_bytes_per_second}};
  });
  put_rates(json, "node_rates", level.node_rates, [](const NodeRate& rate) {
    return Json{{"node", rate.node}, {"read_bytes_per_second", rate.read_bytes_per_second}};
  });
  if (level.compute) json["compute"] = compute_json(*level.compute);
  if (level.disk_reads) json["disk_reads"] = disk_reads_json(*level.disk_reads);
  put_sources(json, level.sources, level.origin);
  return json;
}

Json link_json(const Link& link) {
  Json json{{"from", link.from},
            {"to", link.to},
            {"bytes_per_second", link.bytes_per_second},
            {"latency_us", link.latency_us}};
  put(json, "together_bytes_per_second", link.together_bytes_per_second);
  put_sources(json, link.sources, link.origin);
  return json;
}

}  // namespace

Json to_json(const Hardware& hardware) {
  Json levels = Json::array();
  for (const Level& level : hardware.levels) levels.push_back(level_json(level));
  Json links = Json::array();
  for (const Link& link : hardware.links) links.push_back(link_json(link));
  return Json{{"hardware_version", kFormatVersion},
              {"name", hardware.name},
              {"source", name(hardware.source)},
              {"levels", levels},
              {"links", links}};
}

}  // namespace sluice::hardware
