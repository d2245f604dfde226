// sluice probe
#include <cstdio>
#include <memory>

#include "base/units.h"
#include "batch/bars.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/machine.h"

namespace sluice::cli {
namespace {

struct ProbeFlags {
  std::string output;
  int threads = 0;
  bool json = false, again = false;
};

void print(const probe::Probed& probed, const std::string& kept_at) {
  for (const hardware::Level& level : probed.hardware.levels) {
    std::printf("%s: %s\n", level.name.c_str(),
                base::format_bytes(static_cast<double>(level.capacity_bytes)).c_str());
    std::printf("  reads       %s GB/s\n", batch::rate(level.read_bytes_per_second / 1e9).c_str());
    if (!level.compute) continue;
    std::printf("  processor   %s, %d threads, %s\n", level.compute->model.c_str(),
                level.compute->threads, level.compute->isa.c_str());
    for (const auto& [dtype, peak] : level.compute->peak_flops) {
      std::printf("  %s  %s G%s/s\n", batch::pad(dtype, 10).c_str(),
                  batch::rate(peak / 1e9).c_str(), dtype.starts_with("int") ? "op" : "FLOP");
    }
  }
  std::printf("%s\n",
              probed.from_cache ? ("measured before, kept in " + kept_at).c_str() : "measured now");
}

int probe_command(const ProbeFlags& flags) {
  const std::string cache = hardware_cache_path(flags.threads);
  // An empty path is never a cache that holds anything.
  auto probed = measured_hardware(flags.again ? "" : cache, flags.threads);
  if (!probed) return fail(probed.error());
  const std::string kept = flags.output.empty() ? cache : flags.output;
  if (flags.again || !flags.output.empty()) {
    if (const Status written = hardware::write_file(probed->hardware, kept); !written)
      return fail(written.error());
  } else if (!probed->cache_problem.empty()) {
    std::fprintf(stderr, "sluice: not kept: %s\n", probed->cache_problem.c_str());
  }
  if (flags.json) {
    std::printf("%s\n", base::to_line(hardware::to_json(probed->hardware)).c_str());
  } else {
    print(*probed, cache);
  }
  return kOk;
}

}  // namespace

void add_probe(CLI::App& program, Action& action) {
  auto flags = std::make_shared<ProbeFlags>();
  CLI::App* command = program.add_subcommand(
      "probe", "Measures this machine: memory bandwidth, rates of arithmetic");
  command->add_option("-o,--output", flags->output,
                      "also write hardware.json here (default: the user's cache directory)");
  command
      ->add_option("--threads", flags->threads,
                   "of the measurement (default: the cores this process may use)")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--again", flags->again, "measure even if a measurement is kept");
  command->add_flag("--json", flags->json, "hardware.json on standard output");
  command->footer("Example:\n  sluice probe --again");
  command->callback([flags, &action] { action = [flags] { return probe_command(*flags); }; });
}

}  // namespace sluice::cli
