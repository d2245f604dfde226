#include "sim/scenario.h"

#include <algorithm>
#include <filesystem>

#include "hardware/hardware.h"
#include "schedule/builder.h"

namespace sluice::sim {
namespace {

// Schedules by where they run; all others, and `serial` too, have a device.
const std::vector<std::string> kInMemory = {"resident", "serial"};
const std::vector<std::string> kFromDisk = {"layer_stream", "expert_fetch"};

std::vector<std::string> on_device() {
  std::vector<std::string> names;
  for (const schedule::Builder* builder : schedule::builders()) {
    const std::string name = builder->name();
    const bool elsewhere =
        name == "resident" || std::ranges::find(kFromDisk, name) != kFromDisk.end();
    if (!elsewhere) names.push_back(name);
  }
  return names;
}

hardware::Hardware machine(const char* name, double device_flops, double host_bytes,
                           double link_bytes) {
  const auto compute = [](double flops) {
    return hardware::Compute{
        .model = "none", .isa = "none", .threads = 1, .peak_flops = {{"f32", flops}}};
  };
  hardware::Hardware made{.name = name};
  made.levels = {{.name = "host",
                  .kind = hardware::LevelKind::kHost,
                  .capacity_bytes = int64_t{1} << 40,
                  .read_bytes_per_second = host_bytes,
                  .compute = compute(device_flops / 10)},
                 {.name = "device",
                  .kind = hardware::LevelKind::kDevice,
                  .capacity_bytes = int64_t{1} << 30,
                  .read_bytes_per_second = 10 * host_bytes,
                  .compute = compute(device_flops)}};
  made.links = {{.from = "host", .to = "device", .bytes_per_second = link_bytes, .latency_us = 3},
                {.from = "device", .to = "host", .bytes_per_second = link_bytes, .latency_us = 3}};
  return made;
}

void draw_sizes(Random& random, const ModelPool& pool, engine::EngineOptions& o) {
  o.threads = 1;
  o.max_seq_len = kMaxSeqLen;
  o.max_batch_size = random.between(1, 8);
  o.micro_batch_size = random.between(1, o.max_batch_size);
  o.max_num_tokens = random.between(o.micro_batch_size, random.chance(0.3) ? 12 : 96);
  o.kv_block_tokens = random.chance(0.5) ? 16 : 32;
  o.prefix_sharing = random.chance(0.8);
  o.kv_reserve_fraction = random.chance(0.4) ? 1.0 : random.chance(0.5) ? 0.0 : random.share();
  const double sequences =
      random.chance(0.4) ? 1.0 : 1.0 + random.share() * static_cast<double>(o.max_batch_size);
  o.kv_cache_memory =
      static_cast<int64_t>(static_cast<double>(pool.kv_bytes_per_sequence) * sequences);
  o.max_queued_requests = random.chance(0.3) ? random.between(1, 4) : 1024;
  o.per_request_experts = random.chance(0.2);
}

// Where attention and experts run, and how much of the cache stays on the device.
void draw_places(Random& random, engine::EngineOptions& o) {
  static const std::vector<std::string> kExperts = {"", "auto", "device", "host"};
  o.experts_on = random.pick(kExperts);
  if (o.schedule == "serial" && random.chance(0.5)) o.attention_on = "device";
  const bool there = o.schedule == "kv_prefetch" || o.attention_on == "device";
  if (there && random.chance(0.5)) o.resident_kv = random.chance(0.2) ? 1.0 : random.share();
}

// Where the host attends, what of the cache finds no room in memory.
void draw_kv_home(Random& random, engine::EngineOptions& o) {
  if (!random.chance(0.3)) return;
  o.kv_on = "disk";
  if (random.chance(0.8)) o.resident_kv = random.chance(0.3) ? 0.0 : random.share();
  if (random.chance(0.6)) o.kv_window_bytes = 1;  // attention in parts
}

void draw_schedule(Random& random, const ModelPool& pool, const Machines& machines, Life& life) {
  engine::EngineOptions& o = life.engine;
  const int64_t kind = pool.model->experts ? random.below(10) : 0;
  if (kind < 1) {
    o.schedule = random.pick(kInMemory);
    draw_kv_home(random, o);
  } else {
    o.resident_weights = random.chance(0.5) ? 0.0 : random.share();
    if (kind < 6) {
      o.schedule = random.pick(kFromDisk);
      if (random.chance(0.5)) o.embedding_on = "disk";
      draw_kv_home(random, o);
      if (o.schedule == "expert_fetch" && random.chance(0.25)) o.guess_experts = "off";
    } else {
      const std::vector<std::string> names = on_device();
      o.schedule = random.pick(names);
      const auto which = static_cast<size_t>(random.below(std::ssize(machines.files)));
      o.device = "emulated:" + machines.files[which];
      life.machine = " on " + machines.names[which];
      draw_places(random, o);
      if (o.schedule != "kv_prefetch" && o.attention_on != "device") draw_kv_home(random, o);
    }
  }
  life.machine = o.schedule + life.machine + ", batch " + std::to_string(o.max_batch_size) +
                 " by " + std::to_string(o.micro_batch_size) + ", " +
                 std::to_string(o.max_num_tokens) + " tokens, experts " +
                 std::to_string(static_cast<int>(100 * o.resident_weights)) + " %" +
                 (o.kv_on == "disk" ? ", cache on disk" : "");
}

void draw_disk_trouble(Random& random, DiskTrouble& disk) {
  const auto some = [&](double often, double rate) {
    return random.chance(often) ? rate * random.share() : 0.0;
  };
  disk.error = some(0.4, 0.05);
  disk.again = some(0.2, 0.3);
  disk.flipped = some(0.3, 0.05);
  disk.is_short = some(0.3, 0.3);
  disk.stall = some(0.3, 0.02);
  disk.bad_page = some(0.15, 0.01);
  disk.hangs = some(0.1, 0.005);
}

}  // namespace

Result<Machines> make_machines(const std::string& directory) {
  Machines machines;
  for (const hardware::Hardware& made :
       {machine("balanced", 5e9, 2e8, 1e8), machine("slow-link", 5e10, 1e9, 1e7),
        machine("slow-host", 5e9, 1e7, 1e9)}) {
    machines.names.push_back(made.name);
    machines.files.push_back((std::filesystem::path(directory) / (made.name + ".json")).string());
    SLUICE_TRY(hardware::write_file(made, machines.files.back()));
  }
  return machines;
}

Scenario draw_scenario(Random& random, const std::vector<ModelPool>& pools) {
  Scenario scenario;
  scenario.pool = &random.pick(pools);
  std::vector<const PoolLine*> lines;
  for (const PoolLine& line : scenario.pool->lines) lines.push_back(&line);
  const auto count = static_cast<size_t>(random.between(1, random.chance(0.2) ? 24 : 10));
  for (size_t i = 0; i < count; ++i) {
    const auto at =
        i + static_cast<size_t>(random.below(std::ssize(lines) - static_cast<int64_t>(i)));
    std::swap(lines[i], lines[at]);
  }
  lines.resize(count);
  scenario.lines = std::move(lines);
  scenario.sync.bytes = random.chance(0.5) ? random.between(1, 4000) : int64_t{8} << 20;
  scenario.sync.time = std::chrono::milliseconds(random.between(0, 20));
  scenario.troubled_lives = static_cast<int>(random.below(kMostTroubledLives + 1));
  return scenario;
}

Life draw_life(Random& random, const ModelPool& pool, const Machines& machines, bool troubled) {
  Life life;
  draw_sizes(random, pool, life.engine);
  draw_schedule(random, pool, machines, life);
  life.lanes.task_ns = random.chance(0.5) ? 5'000 : 50'000;
  life.lanes.late = random.chance(0.5) ? 0.0 : 0.1;
  life.disk.read_ns = random.chance(0.5) ? 20'000 : 400'000;
  if (!troubled) return life;
  draw_disk_trouble(random, life.disk);
  if (random.chance(0.2)) life.device.fault = 0.002 * random.share();
  if (random.chance(0.1)) life.device.stall = 0.01 * random.share();
  life.device.is_full = random.chance(0.05);
  if (random.chance(0.1)) life.files.error = 0.02;
  if (random.chance(0.1)) life.files.room_bytes = random.below(20'000);
  if (random.chance(0.2)) life.files.kill_at_write = random.between(1, 12);
  if (random.chance(0.4)) life.kill_in_events = random.between(1, 6000);
  if (random.chance(0.3)) life.power_lost = true;
  if (random.chance(0.25)) {
    life.stop_in_steps = random.between(1, 40);
    life.stop_now = random.chance(0.3);
  }
  return life;
}

}  // namespace sluice::sim
