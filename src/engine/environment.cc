#include "engine/environment.h"

namespace sluice::engine {

const Environment& environment_of(const EngineOptions& options) {
  static const Environment machine;
  return options.environment != nullptr ? *options.environment : machine;
}

}  // namespace sluice::engine
