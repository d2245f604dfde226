#include "cli/machine.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "batch/bars.h"
#include "cli/terminal.h"
#include "engine/host_memory.h"

namespace sluice::cli {

namespace {

// sluice's folder in the user's cache; empty without a home.
std::string cache_directory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && *cache == '/') return std::string(cache) + "/sluice";
  if (home != nullptr && *home != '\0') return std::string(home) + "/.cache/sluice";
  return "";
}

probe::ProbeOptions probe_options(int threads) {
  probe::ProbeOptions options;
  options.threads = threads > 0 ? threads : engine::available_cores();
  options.isa = kernels::best_isa();
  return options;
}

}  // namespace

std::string hardware_cache_path(int threads) {
  const std::string directory = cache_directory();
  if (directory.empty()) return "";
  const bool usual = threads == 0 || threads == engine::available_cores();
  return directory + "/hardware" + (usual ? "" : "-" + std::to_string(threads) + "-threads") +
         ".json";
}

std::string expert_use_directory() {
  const std::string directory = cache_directory();
  if (directory.empty()) return "";
  std::error_code ignored;  // what cannot be kept is learned again
  std::filesystem::create_directories(directory + "/experts", ignored);
  return directory + "/experts";
}

std::optional<hardware::Hardware> known_hardware(int threads) {
  probe::ProbeOptions options = probe_options(threads);
  options.complete = true;
  return probe::kept(hardware_cache_path(threads), options);
}

Result<probe::Probed> measured_hardware(const std::string& cache_path, int threads, bool complete) {
  probe::ProbeOptions options = probe_options(threads);
  std::error_code ignored;  // a cache that cannot be written is told by load_or_probe
  const auto directory = std::filesystem::path(cache_path).parent_path();
  if (!directory.empty()) std::filesystem::create_directories(directory, ignored);
  options.complete = complete;
  const bool live = is_terminal(2);
  bool shown = false;
  std::string part;  // where nobody watches, a line for each is enough
  options.progress = [&](const std::string& what, double share) {
    if (!complete) return;
    if (!live && what != part) std::fprintf(stderr, "measuring %s\n", what.c_str());
    part = what;
    if (!live) return;
    shown = true;
    std::fprintf(stderr, "\r\x1b[2Kmeasuring %s  %s", what.c_str(), batch::percent(share).c_str());
    std::fflush(stderr);
  };
  auto probed = probe::load_or_probe(cache_path, options);
  if (shown) std::fprintf(stderr, "\r\x1b[2K");
  return probed;
}

std::optional<batch::MachineLimits> limits_of(const hardware::Hardware& hardware,
                                              const std::string& dtype) {
  const hardware::Level* host = hardware.find(hardware::LevelKind::kHost);
  if (host == nullptr || !host->compute) return std::nullopt;
  auto peak = host->compute->peak_flops.find(dtype);
  if (peak == host->compute->peak_flops.end()) peak = host->compute->peak_flops.find("f32");
  if (peak == host->compute->peak_flops.end()) return std::nullopt;
  batch::MachineLimits limits;
  limits.name = host->compute->model;
  limits.dtype = peak->first;
  limits.measured = hardware.source == hardware::Source::kMeasured;
  limits.read_bytes_per_second = host->read_bytes_per_second;
  limits.flops_per_second = peak->second;
  if (const hardware::Level* disk = hardware.find(hardware::LevelKind::kDisk))
    limits.disk_bytes_per_second = disk->read_bytes_per_second;
  return limits;
}

}  // namespace sluice::cli
