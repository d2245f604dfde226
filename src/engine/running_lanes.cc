// Lanes beside the host's: the disk, and those of a device.
#include "engine/expert_use_file.h"
#include "engine/running.h"

namespace sluice::engine {

using schedule::Lane;

namespace {

schedule::Rates rates_of(const device::LaneSpeed& speed) {
  return {.flops_per_second = speed.flops_per_second,
          .bytes_per_second = speed.bytes_per_second,
          .latency_s = speed.latency_s};
}

PacedLane paced(const device::Pace& pace, const LinkRunner* link) {
  const device::PaceStats stats = pace.stats();
  return {.busy_seconds = stats.slot_seconds,
          .work_seconds = stats.work_seconds,
          .crowded = stats.crowded,
          .crowded_seconds = stats.crowded_seconds,
          .bytes = link != nullptr ? link->bytes() : 0};
}

}  // namespace

// A cache: what cannot be written is learned again.
Running::~Running() {
  // Lanes borrow what is destroyed next: one that hangs is waited for, as the system itself would
  // with a read that never ends.
  if (executor_ != nullptr) executor_->close();
  executor_.reset();
  if (keeps_use()) {
    (void)write_expert_use(expert_use_path(), paging()->use());
  }
}

bool Running::keeps_use() const {
  return paging() != nullptr && options_.measured_residency &&
         !options_.expert_use_directory.empty();
}

std::string Running::expert_use_path() const {
  return engine::expert_use_path(options_.expert_use_directory, model_->fingerprint);
}

ExpertPaging* Running::paging() const {
  return model_->device != nullptr ? model_->device->paging.get() : model_->paging.get();
}

StreamedKv* Running::streamed_kv() const {
  const bool there = model_->device != nullptr && model_->device->kv != nullptr;
  return there ? model_->device->kv.get() : model_->streamed_kv.get();
}

Status Running::add_lanes(pipeline::ExecutorOptions& executor) {
  if (!options_.measured_residency) {
    if (paging() == nullptr) {
      return Error{ErrorCode::kInvalid,
                   "--no-expert-use says which experts stay in memory; here all of them do"};
    }
    paging()->ignore_use();
  }
  if (keeps_use()) {
    (void)read_expert_use(expert_use_path(), paging()->use());
  }
  if (model_->device != nullptr) add_device_lanes(executor);
  if (!reads_disk()) return {};
  SLUICE_ASSIGN(disk_, DiskRunner::create(model_->paging.get(), model_->source.get(),
                                          {.environment = &environment_,
                                           .times = &times_,
                                           .faults = options_.disk_faults,
                                           .timeout_ms = options_.disk_timeout_ms,
                                           .trace = options_.trace,
                                           .rows = rows(),
                                           .embedding = model_->embedding.get(),
                                           .kv = model_->streamed_kv.get(),
                                           .kv_directory = model_->kv_directory,
                                           .flights = &flights_}));
  executor.async_runners[static_cast<size_t>(Lane::kDisk)] = disk_.get();
  return {};
}

void Running::add_device_lanes(pipeline::ExecutorOptions& executor) {
  DeviceSide& side = *model_->device;
  device_stats_.expert_tokens = stats_.expert_tokens;
  device_ = std::make_unique<StageRunner>(
      StageRunner::Options{.forward = &side.forward,
                           .weight_bytes = costs_.weights,
                           .flights = &flights_,
                           .activations = &Flight::device_activations,
                           .stats = &device_stats_,
                           .count_per_request = options_.per_request_experts,
                           .max_rows = model_->plan.max_num_tokens,
                           .paging = side.paging.get(),
                           .kv = side.kv.get(),
                           .times = &times_,
                           .lane = Lane::kDeviceCompute,
                           .pace = &side.compute_pace,
                           .faults = options_.device_faults,
                           .clock = environment_.clock});
  LinkRunner::Options link{.config = &model_->files.config,
                           .host_weights = &model_->weights,
                           .paging = side.paging.get(),
                           .kv = side.kv.get(),
                           .kv_home = side.kv_home.get(),
                           .flights = &flights_,
                           .pace = &side.up_pace,
                           .times = &times_,
                           .clock = environment_.clock};
  link.faults = options_.device_faults;
  to_device_ = std::make_unique<LinkRunner>(link);
  link.pace = &side.down_pace;
  link.direction = device::Direction::kToHost;
  to_host_ = std::make_unique<LinkRunner>(link);
  executor.runners[static_cast<size_t>(Lane::kDeviceCompute)] = device_.get();
  executor.async_runners[static_cast<size_t>(Lane::kHostToDevice)] = to_device_.get();
  executor.async_runners[static_cast<size_t>(Lane::kDeviceToHost)] = to_host_.get();
  // Tasks of an emulated machine take the time that is predicted for that machine.
  const auto set = [&](Lane lane, const device::LaneSpeed& speed) {
    costs_.rates[static_cast<size_t>(lane)] = rates_of(speed);
  };
  set(Lane::kDeviceCompute, side.machine.device);
  set(Lane::kHostCompute, side.machine.host);
  set(Lane::kHostToDevice, side.machine.host_to_device);
  set(Lane::kDeviceToHost, side.machine.device_to_host);
}

void Running::refresh_lane_stats() {
  if (disk_ != nullptr) {
    stats_.disk = disk_->stats();
    if (model_->paging != nullptr) {
      stats_.disk.resident_pages = model_->paging->pages().resident_pages();
      stats_.disk.all_pages = model_->paging->all_pages();
      stats_.disk.made = model_->source->files().empty();
    }
  }
  if (device_ != nullptr) {
    const DeviceSide& side = *model_->device;
    DeviceStats& device = stats_.device;
    device.present = true;
    device.compute = paced(side.compute_pace, nullptr);
    device.host = paced(side.host_pace, nullptr);
    device.to_device = paced(side.up_pace, to_device_.get());
    device.to_host = paced(side.down_pace, to_host_.get());
    device.resident_pages = side.paging->pages().resident_pages();
    device.all_pages = side.paging->all_pages();
    const std::lock_guard lock(device_->stats_lock());
    device.stages = device_stats_.stages;
    stats_.expert_tokens = device_stats_.expert_tokens;
  }
  stats_.lanes = times_.stats(environment_.clock->now());
}

}  // namespace sluice::engine
