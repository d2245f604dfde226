// sluice probe
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/units.h"
#include "batch/bars.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/machine.h"
#include "device/emulated.h"
#include "device/link.h"
#include "probe/disk_read.h"
#include "probe/link_rates.h"

namespace sluice::cli {
namespace {

struct ProbeFlags {
  std::string output;
  std::string disk_directory;  // empty: the cache's
  std::string device;          // empty: none
  int threads = 0;
  bool json = false, again = false, disk = false;
};

void print_disk(const hardware::DiskReads& reads, hardware::Source source) {
  std::printf("  with        %s x %lld under way (%s, %s)\n",
              base::format_bytes(static_cast<double>(reads.request_bytes)).c_str(),
              static_cast<long long>(reads.queue_depth), reads.method.c_str(),
              hardware::name(source));
  std::printf("  in          %s\n", reads.directory.c_str());
}

std::string giga(double per_second) { return batch::pad_left(batch::rate(per_second / 1e9), 9); }

void print_memory(const hardware::Level& level) {
  for (const hardware::ThreadRate& rate : level.thread_rates) {
    std::printf("  %s %s read, %s written, %s copied GB/s\n",
                batch::pad(std::to_string(rate.threads) + " threads", 11).c_str(),
                giga(rate.read_bytes_per_second).c_str(), giga(rate.write_bytes_per_second).c_str(),
                giga(rate.copy_bytes_per_second).c_str());
  }
  for (const hardware::NodeRate& rate : level.node_rates) {
    std::printf("  node %s %s read GB/s\n", batch::pad(std::to_string(rate.node), 6).c_str(),
                giga(rate.read_bytes_per_second).c_str());
  }
}

// A row for each format, a column for each number of tokens.
void print_kernels(const std::vector<hardware::KernelRate>& rates) {
  if (rates.empty()) return;
  std::printf("  experts' kernels, GFLOP/s by tokens for each expert\n  %s",
              batch::pad("", 8).c_str());
  for (const hardware::KernelRate& rate : rates) {
    if (rate.format != rates.front().format) break;
    std::printf("%s", batch::pad_left(std::to_string(rate.tokens_per_expert), 9).c_str());
  }
  std::string format;
  for (const hardware::KernelRate& rate : rates) {
    if (rate.format != format) std::printf("\n  %s", batch::pad(rate.format, 8).c_str());
    format = rate.format;
    std::printf("%s", giga(rate.flops_per_second).c_str());
  }
  std::printf("\n");
}

void print(const probe::Probed& probed, bool disk_now, const std::string& kept_at) {
  for (const hardware::Level& level : probed.hardware.levels) {
    std::printf("%s: %s\n", level.name.c_str(),
                base::format_bytes(static_cast<double>(level.capacity_bytes)).c_str());
    std::printf("  reads       %s GB/s\n", batch::rate(level.read_bytes_per_second / 1e9).c_str());
    if (level.disk_reads)
      print_disk(*level.disk_reads, probed.hardware.source_of(level, "disk_reads"));
    if (level.memory_nodes > 1)
      std::printf("  memory      of %d nodes, interleaved\n", level.memory_nodes);
    print_memory(level);
    if (!level.compute) continue;
    std::printf("  processor   %s, %d threads, %s\n", level.compute->model.c_str(),
                level.compute->threads, level.compute->isa.c_str());
    for (const auto& [dtype, peak] : level.compute->peak_flops) {
      std::printf("  %s  %s G%s/s\n", batch::pad(dtype, 10).c_str(),
                  batch::rate(peak / 1e9).c_str(), dtype.starts_with("int") ? "op" : "FLOP");
    }
    print_kernels(level.compute->kernel_rates);
  }
  const bool disk_before = !disk_now && probed.hardware.find(hardware::LevelKind::kDisk) != nullptr;
  if (probed.from_cache) {
    std::printf("measured before, kept in %s%s\n", kept_at.c_str(),
                disk_now ? "; the disk now" : "");
  } else {
    std::printf("measured now%s\n", disk_before ? "; the disk before" : "");
  }
}

// Disks that were measured before: measuring the processor again says nothing about them.
void keep_disks(hardware::Hardware& hardware, const std::string& cache) {
  const auto before = hardware::read_file(cache);
  if (!before || before->source != hardware::Source::kMeasured) return;
  for (const hardware::Level& level : before->levels) {
    const bool known = hardware.find(level.name) != nullptr;
    if (level.kind == hardware::LevelKind::kDisk && !known) hardware.levels.push_back(level);
  }
}

Result<probe::DiskReadRates> measure_disk(std::string directory, const std::string& cache) {
  if (directory.empty()) {
    if (cache.empty()) {
      return Error{ErrorCode::kInvalid,
                   "there is no cache directory whose disk to measure; name one with --disk DIR"};
    }
    directory = std::filesystem::path(cache).parent_path().string();
    std::error_code ignored;  // measuring tells
    std::filesystem::create_directories(directory, ignored);
  }
  std::fprintf(stderr, "sluice: measuring the disk under '%s' with a file of 512 MiB\n",
               directory.c_str());
  auto rates = probe::measure_disk_read({.directory = directory});
  if (rates.ok() && !rates->notes.empty())
    std::fprintf(stderr, "sluice: disk: %s\n", rates->notes.c_str());
  return rates;
}

// What was measured now goes to the cache, and whatever there is to where the user wants it.
Status keep(const probe::Probed& probed, const ProbeFlags& flags, const std::string& cache) {
  if (!flags.output.empty()) SLUICE_TRY(hardware::write_file(probed.hardware, flags.output));
  if (flags.again || flags.disk) {
    std::error_code ignored;  // writing tells
    std::filesystem::create_directories(std::filesystem::path(cache).parent_path(), ignored);
    const Status kept = hardware::write_file(probed.hardware, cache);
    if (!kept.ok() && flags.output.empty()) return kept;
  } else if (!probed.cache_problem.empty() && flags.output.empty()) {
    std::fprintf(stderr, "sluice: not kept: %s\n", probed.cache_problem.c_str());
  }
  return {};
}

// The links of the machine that --device names: what was found beside what its file states.
int probe_device(const ProbeFlags& flags) {
  constexpr int64_t kBytes = int64_t{32} << 20;
  constexpr int64_t kTimeMs = 3000;
  auto stated = device::parse_device_hardware(flags.device);
  if (!stated) return fail(stated.error());
  const auto machine = device::emulated_device(*stated);
  if (!machine) return fail(machine.error());
  const auto rates = probe::measure_links(device::emulated_links(*machine, kBytes), kTimeMs);
  if (!rates) return fail(rates.error());
  hardware::Hardware found = *stated;
  probe::set_links(found, *rates);
  if (!flags.output.empty()) {
    if (const Status kept = hardware::write_file(found, flags.output); !kept)
      return fail(kept.error());
  }
  if (flags.json) {
    std::printf("%s\n", base::to_line(hardware::to_json(found)).c_str());
    return kOk;
  }
  for (const hardware::Link& link : found.links) {
    if (!link.together_bytes_per_second) continue;
    std::printf("%s to %s: %s GB/s, both ways at once %s GB/s, latency %.1f us (measured)\n",
                link.from.c_str(), link.to.c_str(),
                batch::rate(link.bytes_per_second / 1e9).c_str(),
                batch::rate(*link.together_bytes_per_second / 1e9).c_str(), link.latency_us);
    for (const hardware::Link& before : stated->links) {
      if (before.from != link.from || before.to != link.to) continue;
      std::printf("  of %s GB/s and %.1f us that the file states: %s of the bandwidth\n",
                  batch::rate(before.bytes_per_second / 1e9).c_str(), before.latency_us,
                  batch::percent(link.bytes_per_second / before.bytes_per_second).c_str());
    }
  }
  return kOk;
}

int probe_command(const ProbeFlags& flags) {
  if (!flags.device.empty()) return probe_device(flags);
  const std::string cache = hardware_cache_path(flags.threads);
  std::optional<probe::DiskReadRates> disk;
  if (flags.disk) {
    auto rates = measure_disk(flags.disk_directory, cache);
    if (!rates) return fail(rates.error());
    disk = std::move(*rates);
  }
  // An empty path is never a cache that holds anything.
  auto probed = measured_hardware(flags.again ? "" : cache, flags.threads, true);
  if (!probed) return fail(probed.error());
  if (flags.again) keep_disks(probed->hardware, cache);
  if (disk) probe::set_disk(probed->hardware, *disk);
  if (const Status written = keep(*probed, flags, cache); !written) return fail(written.error());
  if (flags.json) {
    std::printf("%s\n", base::to_line(hardware::to_json(probed->hardware)).c_str());
  } else {
    print(*probed, flags.disk, cache);
  }
  return kOk;
}

}  // namespace

void add_probe(CLI::App& program, Action& action) {
  auto flags = std::make_shared<ProbeFlags>();
  CLI::App* command = program.add_subcommand(
      "probe",
      "Measures this machine: memory bandwidth, rates of arithmetic and kernels, the disk, or "
      "the links of a device");
  command->add_option("-o,--output", flags->output,
                      "also write hardware.json here (default: the user's cache directory)");
  command
      ->add_option("--threads", flags->threads,
                   "of the measurement (default: the cores this process may use)")
      ->check(CLI::Range(1, 1024));
  CLI::Option* disk =
      command
          ->add_option("--disk", flags->disk_directory,
                       "measure reading the disk under this directory too, in 8 s, with a file of "
                       "512 MiB (without DIR: where hardware.json is kept)")
          ->type_name("DIR")
          ->expected(0, 1);
  command
      ->add_option("--device", flags->device,
                   "measure the links of this device instead: emulated:FILE, with a hardware.json")
      ->excludes(disk);
  command->add_flag("--again", flags->again, "measure even if a measurement is kept");
  command->add_flag("--json", flags->json, "hardware.json on standard output");
  command->footer(
      "Examples:\n  sluice probe --again\n  sluice probe --disk /data/models\n  sluice probe "
      "--device emulated:hardware.json");
  command->callback([flags, disk, &action] {
    flags->disk = disk->count() > 0;
    action = [flags] { return probe_command(*flags); };
  });
}

}  // namespace sluice::cli
