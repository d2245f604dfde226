#include "scheduler/balance.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace sluice::scheduler {
namespace {

MicroBatchLoad* lightest(std::span<MicroBatchLoad> loads) {
  MicroBatchLoad* best = nullptr;
  for (MicroBatchLoad& load : loads) {
    if (load.free_slots > 0 && (best == nullptr || load.tokens < best->tokens)) best = &load;
  }
  return best;
}

// MoE-Lightning, Algorithm 2: (sum + len) + (1 + count) * gen_len > cache_size.
bool passes_room(const MicroBatchLoad& load, int64_t length, const MicroBatchKvRoom& room) {
  return load.tokens + length + (1 + load.sequences) * room.generated_tokens > room.cache_tokens;
}

}  // namespace

void balance(std::span<const int64_t> lengths, std::span<MicroBatchLoad> loads,
             const MicroBatchKvRoom& room, std::span<int32_t> order, std::span<int32_t> assigned) {
  SLUICE_CHECK(order.size() == lengths.size() && assigned.size() == lengths.size(),
               "balance: one place for each request");
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](int32_t i) { return lengths[static_cast<size_t>(i)]; };
  std::ranges::sort(order, [&](int32_t a, int32_t b) {
    return length(a) != length(b) ? length(a) > length(b) : a < b;
  });
  for (int32_t request : order) {
    int32_t& place = assigned[static_cast<size_t>(request)];
    MicroBatchLoad* load = lightest(loads);
    if (load == nullptr || passes_room(*load, length(request), room)) {
      place = kWaits;
      continue;
    }
    place = static_cast<int32_t>(load - loads.data());
    load->tokens += length(request);
    ++load->sequences;
    --load->free_slots;
  }
}

}  // namespace sluice::scheduler
