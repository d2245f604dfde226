#include "kernels/kv_copy.h"

#include <cstring>

namespace sluice::kernels {

void copy_kv_token(const KvLayout& layout, int64_t token, const std::byte* from, std::byte* to) {
  const auto copy = [&](int64_t at, int64_t bytes) {
    std::memcpy(to + at, from + at, static_cast<size_t>(bytes));
  };
  const int64_t element = element_bytes(layout.dtype);
  for (int64_t head = 0; head < layout.kv_heads; ++head) {
    const int64_t base = head * layout.head_bytes();
    const int64_t panel = base + layout.key_panel_at(token) + token % 16 * element;
    for (int64_t d = 0; d < layout.key_dim; ++d) copy(panel + d * 16 * element, element);
    copy(base + layout.value_at(token), layout.value_bytes());
    if (!layout.scaled()) continue;
    copy(base + layout.key_scale_at(token), sizeof(float));
    copy(base + layout.value_scale_at(token), sizeof(float));
  }
}

}  // namespace sluice::kernels
