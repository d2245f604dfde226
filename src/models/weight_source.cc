#include "models/weight_source.h"

#include "weights/checksum.h"

namespace sluice::models {

Status check_page(const WeightSource& source, int layer, int expert,
                  std::span<const std::byte> page) {
  const auto at = source.page_at(layer, expert);
  SLUICE_CHECK(at && static_cast<int64_t>(page.size()) == at->bytes,
               "a whole page that lies in a file");
  if (weights::crc32c(page) == source.page_checksum(layer, expert)) return {};
  return weights::damaged_page(source.files()[static_cast<size_t>(at->file)], layer, expert,
                               at->offset, at->bytes);
}

}  // namespace sluice::models
