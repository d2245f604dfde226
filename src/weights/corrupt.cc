#include "weights/corrupt.h"

#include <utility>

#include "weights/checkpoint.h"
#include "weights/quote.h"

namespace sluice::weights {

Error corrupt(std::string message) { return {ErrorCode::kCorrupt, std::move(message)}; }

Error corrupt(const TensorEntry& entry, const std::string& why) {
  return corrupt("tensor " + quote(entry.name) + " " + why);
}

}  // namespace sluice::weights
