#include "engine/link_runner.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace sluice::engine {

using Claim = memory::WeightPages::Claim;
using schedule::Payload;

namespace {

void copy_floats(const float* from, float* to, int64_t count) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

void copy_matrix(const kernels::PackedMatrix& from, std::byte* to) {
  std::memcpy(to, from.data,
              static_cast<size_t>(kernels::packed_bytes(from.dtype, from.rows, from.cols)));
}

}  // namespace

Result<pipeline::AsyncTaskRunner::Start> LinkRunner::start(const schedule::Task& task,
                                                           const pipeline::TaskContext& context,
                                                           uint64_t token) {
  const schedule::Transfer* transfer = task.transfer();
  SLUICE_CHECK(transfer != nullptr && !moving_, "a link makes one transfer at a time");
  Moving next{.token = token};
  if (transfer->payload == Payload::kWeights) {
    next.page = transfer->pages.first;
    switch (options_.paging->pages().claim(*next.page, static_cast<int>(context.user),
                                           transfer->urgency == schedule::Urgency::kAhead)) {
      case Claim::kResident:
        return Start::kDone;
      case Claim::kNoRoom:
        return Start::kNoRoom;
      case Claim::kLoading:
        base::check_failed("no page is on its way", "a link makes one transfer at a time", __FILE__,
                           __LINE__);
      case Claim::kLoad:
        break;
    }
  } else if (transfer->payload == Payload::kKv) {
    if (!claim_kv(task, context.user)) return Start::kNoRoom;
    if (transfer->to == schedule::Level::kHost) next.leaves = context.user;
    next.layer = task.layer;
    next.part = transfer->part;
  }
  const device::Fault fault = fault_of(next, task);
  options_.pace->begin();
  next.planned = !fault.fails && progress_of(task) > (*options_.flights)[context.user].done_before;
  if (next.planned) options_.times->begin(lane(), options_.clock->now());
  if (fault.fails) {
    next.error = broken(next, task);
  } else if (next.page) {
    copy_page(*next.page);
  } else if (transfer->payload == Payload::kKv) {
    copy_kv(task, context.user);
  } else {
    copy(task, (*options_.flights)[context.user]);
  }
  next.end = options_.pace->end_of(task.predicted_ns) + std::chrono::milliseconds(fault.stall_ms);
  bytes_ += transfer->bytes;
  moving_ = next;
  return Start::kStarted;
}

device::Fault LinkRunner::fault_of(const Moving& moving, const schedule::Task& task) const {
  if (options_.faults == nullptr) return {};
  device::TransferInfo info{.direction = options_.direction, .bytes = task.transfer()->bytes};
  if (moving.page) info.page = *moving.page;
  return options_.faults->of_transfer(info);
}

schedule::Lane LinkRunner::lane() const {
  return options_.direction == device::Direction::kToDevice ? schedule::Lane::kHostToDevice
                                                            : schedule::Lane::kDeviceToHost;
}

Error LinkRunner::broken(const Moving& moving, const schedule::Task& task) const {
  const bool up = options_.direction == device::Direction::kToDevice;
  const std::string what =
      moving.page ? "expert " + std::to_string(options_.paging->expert_of(*moving.page)) +
                        " of layer " + std::to_string(options_.paging->layer_of(*moving.page))
                  : "'" + label(task) + "'";
  return {ErrorCode::kFault, std::string("the link from ") +
                                 (up ? "host to device" : "device to host") +
                                 " failed while it moved " + what + "; check the device"};
}

// Rows of one micro-batch, between its activations here and there.
void LinkRunner::copy(const schedule::Task& task, Flight& flight) const {
  const models::Activations& host = flight.activations;
  const models::Activations& device = flight.device_activations;
  const models::LayerConfig& layer =
      options_.config->layers[static_cast<size_t>(std::max<int16_t>(task.layer, 0))];
  const int64_t rows = flight.batch.view().rows();
  const models::AttentionConfig& a = layer.attention;
  const int64_t q = rows * a.q_heads * a.head_dim, kv = rows * a.kv_heads * a.head_dim;
  switch (task.transfer()->payload) {
    case Payload::kLogits:
      std::memcpy(host.logits, device.logits, static_cast<size_t>(task.transfer()->bytes));
      return;
    case Payload::kQkv:
      copy_floats(device.q, host.q, q);
      copy_floats(device.k, host.k, kv);
      copy_floats(device.v, host.v, kv);
      return;
    case Payload::kHidden:
      copy_floats(host.attended, device.attended, q);
      return;
    case Payload::kExpertInput:
      copy_floats(device.normed, host.normed, rows * options_.config->hidden);
      std::copy_n(device.expert, rows * layer.ffn.top_k, host.expert);
      std::copy_n(device.expert_tokens, layer.ffn.experts, host.expert_tokens);
      return;
    case Payload::kExpertOutput:
      return copy_output(options_.paging->expert_of(task.transfer()->pages.first), flight);
    case Payload::kWeights:
    case Payload::kKv:
    case Payload::kRow:
      break;
  }
  base::check_failed("rows of a micro-batch", "weights and KV are moved elsewhere", __FILE__,
                     __LINE__);
}

// The slots of one expert's tokens: the same on both sides, since both have dispatched alike.
void LinkRunner::copy_output(int expert, Flight& flight) const {
  const models::Activations& host = flight.activations;
  const int64_t hidden = options_.config->hidden;
  const int64_t first = host.expert_first[expert] * hidden;
  copy_floats(host.expert_out + first, flight.device_activations.expert_out + first,
              host.expert_tokens[expert] * hidden);
}

bool LinkRunner::claim_kv(const schedule::Task& task, size_t flight) const {
  return task.transfer()->to == schedule::Level::kHost ||
         options_.kv->windows().claim(flight, task.layer, task.transfer()->part);
}

void LinkRunner::copy_kv(const schedule::Task& task, size_t flight) const {
  if (task.transfer()->to == schedule::Level::kHost) {
    options_.kv_home->take_home(flight, task.layer, (*options_.flights)[flight].batch.view(),
                                task.transfer()->part);
  } else {
    options_.kv_home->bring(flight, task.layer, task.transfer()->part);
  }
}

void LinkRunner::copy_page(memory::WeightPageId page) const {
  ExpertPaging& paging = *options_.paging;
  const auto layer = static_cast<size_t>(paging.layer_of(page));
  const models::FfnWeights& from =
      options_.host_weights->layers[layer].experts[static_cast<size_t>(paging.expert_of(page))];
  const models::ExpertPage& layout = paging.page_of_layer(static_cast<int>(layer));
  std::byte* const to = paging.pages().at(page);
  copy_matrix(from.gate, to);
  copy_matrix(from.up, to + layout.up_offset);
  copy_matrix(from.down, to + layout.down_offset);
}

size_t LinkRunner::poll(std::span<Ended> ended, int64_t timeout_ms) {
  const base::Clock& clock = *options_.clock;
  const base::Clock::time_point patience = clock.now() + std::chrono::milliseconds(timeout_ms);
  {
    std::unique_lock lock(mutex_);
    const auto until = moving_ ? std::min(moving_->end, patience) : patience;
    clock.wait_until(lock, woken_, until, [this] { return wake_; });
    wake_ = false;
  }
  const base::Clock::time_point now = clock.now();
  if (!moving_ || now < moving_->end) return 0;
  if (moving_->planned) options_.times->end(lane(), now);
  if (moving_->page && moving_->error) {
    options_.paging->pages().failed(*moving_->page);
  } else if (moving_->page) {
    options_.paging->bind(*moving_->page);
    options_.paging->pages().loaded(*moving_->page);
  }
  // Of one that failed the window is given back with its iteration's end.
  if (moving_->leaves && !moving_->error)
    options_.kv->windows().release(*moving_->leaves, moving_->layer, moving_->part);
  ended[0] = {moving_->token, moving_->error ? Status(*moving_->error) : Status()};
  moving_.reset();
  return 1;
}

void LinkRunner::wake() {
  const std::lock_guard lock(mutex_);
  wake_ = true;
  woken_.notify_one();
}

}  // namespace sluice::engine
