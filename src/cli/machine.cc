#include "cli/machine.h"

#include <cstdlib>
#include <filesystem>

#include "engine/host_memory.h"

namespace sluice::cli {

std::string hardware_cache_path(int threads) {
  std::string directory;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && *cache == '/') {
    directory = cache;
  } else if (home != nullptr && *home != '\0') {
    directory = std::string(home) + "/.cache";
  } else {
    return "";
  }
  const bool usual = threads == 0 || threads == engine::available_cores();
  return directory + "/sluice/hardware" +
         (usual ? "" : "-" + std::to_string(threads) + "-threads") + ".json";
}

Result<probe::Probed> measured_hardware(const std::string& cache_path, int threads) {
  probe::ProbeOptions options;
  options.threads = threads > 0 ? threads : engine::available_cores();
  options.isa = kernels::best_isa();
  std::error_code ignored;  // a cache that cannot be written is told by load_or_probe
  const auto directory = std::filesystem::path(cache_path).parent_path();
  if (!directory.empty()) std::filesystem::create_directories(directory, ignored);
  return probe::load_or_probe(cache_path, options);
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
  return limits;
}

}  // namespace sluice::cli
