#include "hardware/presets.h"

#include <array>

namespace sluice::hardware {
namespace {

constexpr double kGiga = 1e9, kTera = 1e12;
// No datasheet states what a device draws with nothing to do: a share of its limit, as an
// assumption.
constexpr double kIdleShare = 0.15;
constexpr double kLinkLatencyUs = 10;  // an assumption

// Arithmetic is dense, with accumulation in f32 where the datasheet tells them apart; 0: not
// stated. A link is one direction of the slot's peak.
struct Device {
  const char* name;
  const char* isa;
  double gigabytes, memory_gbs, link_gbs, watts;
  double f32, bf16, int8, fp8;  // tera per second
  const char* host;             // that it usually stands beside
  const char* origin;
};
constexpr std::array kDevices = {
    Device{"t4", "sm_75", 16, 320, 15.75, 70, 8.1, 65, 130, 0, "xeon-24c",
           "NVIDIA T4 datasheet, memory of its product brief; PCIe 3.0 x16"},
    Device{"l4", "sm_89", 24, 300, 31.5, 72, 30.3, 121, 242.5, 242.5, "xeon-24c",
           "NVIDIA L4 datasheet (half of its figures with sparsity); PCIe 4.0 x16"},
    Device{"a10", "sm_86", 24, 600, 31.5, 150, 31.2, 125, 250, 0, "xeon-24c",
           "NVIDIA A10 datasheet; PCIe 4.0 x16"},
    Device{"a100-40g", "sm_80", 40, 1555, 31.5, 250, 19.5, 312, 624, 0, "epyc-7763",
           "NVIDIA A100 PCIe datasheet, 40 GB; PCIe 4.0 x16"},
    Device{"a100-80g", "sm_80", 80, 1935, 31.5, 300, 19.5, 312, 624, 0, "epyc-7763",
           "NVIDIA A100 PCIe datasheet, 80 GB; PCIe 4.0 x16"},
    Device{"rtx-4090", "sm_89", 24, 1008, 31.5, 450, 82.6, 165.2, 660.6, 330.3, "ryzen-7950x",
           "NVIDIA Ada GPU architecture whitepaper, appendix A; PCIe 4.0 x16"},
    Device{"rtx-5090", "sm_120", 32, 1792, 63, 575, 104.8, 209.5, 838, 419, "ryzen-9950x",
           "NVIDIA RTX Blackwell GPU architecture whitepaper, appendix A; PCIe 5.0 x16"},
    Device{"h100", "sm_90", 80, 3350, 63, 700, 67, 989.5, 1979, 1979, "xeon-8480",
           "NVIDIA H100 SXM datasheet (half of its figures with sparsity); PCIe 5.0 x16"},
    Device{"h200", "sm_90", 141, 4800, 63, 700, 67, 989.5, 1979, 1979, "xeon-8480",
           "NVIDIA H200 SXM datasheet (half of its figures with sparsity); PCIe 5.0 x16"},
    Device{
        "b200", "sm_100", 180, 7700, 63, 1000, 75, 2250, 4500, 4500, "xeon-8570",
        "NVIDIA Blackwell datasheet, HGX B200 (half of its figures with sparsity); PCIe 5.0 x16"},
    Device{"gb200", "sm_100", 186, 8000, 225, 1200, 80, 2500, 5000, 5000, "grace",
           "NVIDIA Blackwell datasheet, GB200 NVL72 (half of its figures with sparsity); "
           "NVLink-C2C, 450 GB/s each way, shared by two"},
    Device{"mi300x", "gfx942", 192, 5300, 63, 750, 163.4, 1307.4, 2614.9, 2614.9, "epyc-9654",
           "AMD Instinct MI300X datasheet; PCIe 5.0 x16"},
    Device{"tpu-v5e", "v5e", 16, 819, 16, 0, 0, 197, 393, 0, "epyc-7763",
           "Google Cloud TPU v5e documentation; its link is an assumption"},
    Device{"tpu-v6e", "v6e", 32, 1638, 32, 0, 0, 918, 1836, 0, "epyc-9654",
           "Google Cloud TPU v6e documentation; its link is an assumption"},
};

// Arithmetic: cores x clock x FLOP per cycle of the widest units, at the base clock.
struct Host {
  const char* name;
  const char* isa;
  int threads;
  double gibibytes, memory_gbs, watts, f32_tera, int8_tera;
  const char* origin;
};
constexpr std::array kHosts = {
    Host{"xeon-24c", "avx512", 24, 192, 76, 150, 1.6, 6.4,
         "MoE-Lightning's artifact, README and optimizer (24 cores of an Intel Xeon, 192 GB)"},
    Host{"xeon-32c", "avx512", 32, 416, 76, 200, 2.1, 8.5,
         "MoE-Lightning's artifact, scaled to its 32 cores and 416 GB"},
    Host{"xeon-8480", "amx_int8", 56, 512, 307.2, 350, 7.2, 229,
         "Intel Xeon Platinum 8480+ product page: 56 cores, 2.0 GHz, 8 x DDR5-4800, 350 W; AMX"},
    Host{"xeon-8570", "amx_int8", 56, 1024, 358.4, 350, 7.5, 241,
         "Intel Xeon Platinum 8570 product page: 56 cores, 2.1 GHz, 8 x DDR5-5600, 350 W; AMX"},
    Host{"epyc-7763", "avx2", 64, 512, 204.8, 280, 5.0, 10.0,
         "AMD EPYC 7763 product page: 64 cores, 2.45 GHz, 8 x DDR4-3200, 280 W"},
    Host{"epyc-9654", "avx512", 96, 768, 460.8, 360, 7.4, 29.5,
         "AMD EPYC 9654 product page: 96 cores, 2.4 GHz, 12 x DDR5-4800, 360 W"},
    Host{"ryzen-7950x", "avx512", 16, 128, 83.2, 170, 2.3, 9.2,
         "AMD Ryzen 9 7950X product page: 16 cores, 4.5 GHz, 2 x DDR5-5200, 170 W"},
    Host{"ryzen-9950x", "avx512", 16, 192, 89.6, 170, 4.4, 17.6,
         "AMD Ryzen 9 9950X product page: 16 cores, 4.3 GHz, 2 x DDR5-5600, 170 W"},
    Host{"grace", "neon", 72, 480, 512, 250, 7.1, 28.4,
         "NVIDIA Grace CPU datasheet: 72 cores, LPDDR5X of 480 GB at 512 GB/s"},
};

struct Disk {
  const char* name;
  double terabytes, read_gbs, idle_watts, busy_watts;
  const char* origin;
};
constexpr std::array kDisks = {
    Disk{"sata", 2, 0.55, 0.05, 3, "Samsung 870 EVO datasheet"},
    Disk{"nvme-gen3", 2, 3.5, 0.03, 6, "Samsung 970 EVO Plus datasheet"},
    Disk{"nvme-gen4", 2, 7.0, 0.035, 7.2, "Samsung 980 PRO datasheet"},
    Disk{"nvme-gen5", 4, 14.5, 0.005, 8.1, "Crucial T705 product page"},
};

template <class Table>
auto find_in(const Table& table, std::string_view name, const char* what)
    -> Result<typename Table::value_type> {
  std::string known;
  for (const auto& part : table) {
    if (name == part.name) return part;
    known += (known.empty() ? "" : ", ") + std::string(part.name);
  }
  return Error{ErrorCode::kInvalid, std::string("no ") + what + " preset is called '" +
                                        std::string(name) + "'; there are " + known};
}

template <class Table>
std::vector<PresetPart> names_of(const Table& table) {
  std::vector<PresetPart> parts;
  for (const auto& part : table) parts.push_back({part.name, part.origin});
  return parts;
}

Level device_level(const Device& device) {
  Level level{.name = "device", .kind = LevelKind::kDevice};
  level.capacity_bytes = static_cast<int64_t>(device.gigabytes * kGiga);
  level.read_bytes_per_second = device.memory_gbs * kGiga;
  level.origin = device.origin;
  if (device.watts > 0) {
    level.busy_watts = device.watts;
    level.idle_watts = kIdleShare * device.watts;
    level.sources["idle_watts"] = Source::kAssumed;
  }
  Compute compute{.model = device.name, .isa = device.isa, .threads = 1};
  const std::pair<const char*, double> peaks[] = {{"f32", device.f32},
                                                  {"f16", device.bf16},
                                                  {"bf16", device.bf16},
                                                  {"int8", device.int8},
                                                  {"fp8", device.fp8}};
  for (const auto& [dtype, tera] : peaks)
    if (tera > 0) compute.peak_flops[dtype] = tera * kTera;
  level.compute = std::move(compute);
  return level;
}

Level host_level(const Host& host, int64_t memory_bytes) {
  Level level{.name = "host", .kind = LevelKind::kHost};
  level.capacity_bytes =
      memory_bytes > 0 ? memory_bytes : static_cast<int64_t>(host.gibibytes * (1 << 30));
  level.read_bytes_per_second = host.memory_gbs * kGiga;
  level.origin = host.origin;
  level.busy_watts = host.watts;
  level.idle_watts = kIdleShare * host.watts;
  level.sources["idle_watts"] = Source::kAssumed;
  level.compute =
      Compute{.model = host.name,
              .isa = host.isa,
              .threads = host.threads,
              .peak_flops = {{"f32", host.f32_tera * kTera}, {"int8", host.int8_tera * kTera}}};
  return level;
}

Level disk_level(const Disk& disk) {
  Level level{.name = "disk", .kind = LevelKind::kDisk};
  level.capacity_bytes = static_cast<int64_t>(disk.terabytes * kTera);
  level.read_bytes_per_second = disk.read_gbs * kGiga;
  level.idle_watts = disk.idle_watts;
  level.busy_watts = disk.busy_watts;
  level.origin = disk.origin;
  return level;
}

}  // namespace

Result<Hardware> combine(const Parts& parts) {
  Hardware machine{.source = Source::kStated};
  std::string host_name = parts.host;
  if (!parts.device.empty()) {
    SLUICE_ASSIGN(const Device device, find_in(kDevices, parts.device, "device"));
    if (host_name.empty()) host_name = device.host;
    machine.name = std::string(device.name) + " + ";
    machine.levels.push_back(device_level(device));
    for (const bool up : {true, false}) {
      Link link{.from = up ? "host" : "device", .to = up ? "device" : "host"};
      link.bytes_per_second = device.link_gbs * kGiga;
      link.latency_us = kLinkLatencyUs;
      link.sources["latency_us"] = Source::kAssumed;
      if (device.watts == 0) link.sources["bytes_per_second"] = Source::kAssumed;
      link.origin = device.origin;
      machine.links.push_back(std::move(link));
    }
  }
  if (host_name.empty()) {
    return Error{ErrorCode::kInvalid,
                 "a machine needs a host; name one with --host, or a --device, which brings one"};
  }
  SLUICE_ASSIGN(const Host host, find_in(kHosts, host_name, "host"));
  machine.name += host.name;
  machine.levels.push_back(host_level(host, parts.host_memory_bytes));
  if (!parts.disk.empty()) {
    SLUICE_ASSIGN(const Disk disk, find_in(kDisks, parts.disk, "disk"));
    machine.name += std::string(" + ") + disk.name;
    machine.levels.push_back(disk_level(disk));
  }
  return machine;
}

std::vector<PresetPart> device_presets() { return names_of(kDevices); }
std::vector<PresetPart> host_presets() { return names_of(kHosts); }
std::vector<PresetPart> disk_presets() { return names_of(kDisks); }

}  // namespace sluice::hardware
