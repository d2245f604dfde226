#include "schedule/layer_stream.h"

namespace sluice::schedule {

bool LayerStream::ahead(const Context& context, int layer, int expert) const {
  return likely(context, layer, expert);
}

}  // namespace sluice::schedule
