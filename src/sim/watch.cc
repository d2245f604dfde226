#include "sim/watch.h"

#include <algorithm>

#include "engine/loaded_model.h"

namespace sluice::sim {

const memory::WeightPages* Watch::pages() const {
  if (engine_ == nullptr || engine_->paging() == nullptr) return nullptr;
  return &engine_->paging()->pages();
}

// Null for a page that is not there.
std::vector<const std::byte*> Watch::places(std::span<const schedule::PageRange> ranges) const {
  std::vector<const std::byte*> places;
  const memory::WeightPages* there = pages();
  for (const schedule::PageRange& range : ranges) {
    for (uint32_t page = range.first; page < range.first + range.count; ++page)
      places.push_back(there != nullptr && there->resident(page) ? there->at(page) : nullptr);
  }
  return places;
}

std::vector<const std::byte*> Watch::need(const schedule::Task& task,
                                          std::span<const schedule::PageRange> ranges) {
  std::vector<const std::byte*> found = places(ranges);
  if (std::ranges::find(found, nullptr) != found.end())
    world_.violated("'" + label(task) + "' begins, and a page that it needs has not come");
  return found;
}

void Watch::stay(const schedule::Task& task, std::span<const schedule::PageRange> ranges,
                 const std::vector<const std::byte*>& before) {
  if (places(ranges) != before)
    world_.violated("a page of '" + label(task) + "' was taken away while the task ran");
}

void Watch::release(const pipeline::TaskContext& task) {
  for (const schedule::PageRange& range : task.pages)
    engine_->paging()->pages().release(range.first, static_cast<int>(task.user));
}

void Watch::claim(const pipeline::TaskContext& task) {
  for (const schedule::PageRange& range : task.pages) {
    if (engine_->paging()->pages().claim(range.first, static_cast<int>(task.user)) !=
        memory::WeightPages::Claim::kResident)
      world_.violated("page " + std::to_string(range.first) + " was taken away");
  }
}

void Watch::still_blocked(const schedule::Task& task) {
  const schedule::Transfer* transfer = task.transfer();
  if (transfer == nullptr || transfer->payload == schedule::Payload::kRow) return;
  // A block whose write hangs is waited for.
  const bool waits = engine_->disk_kv() != nullptr && engine_->disk_kv()->waits_until();
  if (transfer->payload == schedule::Payload::kKv && waits) return;
  const engine::StreamedKv* kv = engine_->streamed_kv();
  const bool room = transfer->payload == schedule::Payload::kKv
                        ? kv->windows().used() + kv->windows().stalled() < engine::KvWindows::kCount
                        : pages()->has_room(transfer->pages.first,
                                            transfer->urgency == schedule::Urgency::kAhead);
  if (room)
    world_.violated(std::string("the lane ") + name(task.lane) + " is idle, and its next task '" +
                    label(task) + "' could start");
}

void Watch::at_rest() {
  if (const memory::WeightPages* there = pages()) there->check_consistency();
  if (engine_ != nullptr && engine_->rows() != nullptr) engine_->rows()->check_consistency();
}

void Watch::between_iterations(const engine::EngineStats& stats) {
  const plan::Plan& plan = engine_->plan();
  engine_->kv_blocks().check_consistency();
  if (stats.kv_blocks_used > plan.kv_blocks || engine_->running() > plan.policy.batch)
    world_.violated("more sequences or KV blocks are in use than the plan has");
  if (pages() != nullptr && pages()->resident_pages() > plan.expert_slots)
    world_.violated("more experts are in memory than the plan has slots");
}

void Watch::when_idle() {
  if (engine_->kv_blocks().held() != 0)
    world_.violated(std::to_string(engine_->kv_blocks().held()) +
                    " KV blocks are held, and no request is left");
  if (pages() != nullptr && pages()->claimed_pages() != 0)
    world_.violated(std::to_string(pages()->claimed_pages()) +
                    " pages are claimed, and no request is left");
  if (engine_->rows() != nullptr && engine_->rows()->claimed() != 0)
    world_.violated(std::to_string(engine_->rows()->claimed()) +
                    " rows of the embedding are claimed, and no request is left");
  if (const engine::StreamedKv* kv = engine_->streamed_kv();
      kv != nullptr && kv->windows().used() != 0)
    world_.violated(std::to_string(kv->windows().used()) +
                    " windows of KV are taken, and no request is left");
}

}  // namespace sluice::sim
