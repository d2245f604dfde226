// What an engine takes of the world beside its files: the clock, the threads of its lanes, the
// disk. A simulation gives its own; all else runs as ever.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "engine/engine.h"
#include "io/device_queue.h"
#include "pipeline/executor.h"

namespace sluice::engine {

struct Environment {
  const base::Clock* clock = &base::steady_clock();  // borrowed
  std::function<Result<std::unique_ptr<pipeline::Executor>>(const pipeline::ExecutorOptions&)>
      make_executor = pipeline::Executor::create;
  std::function<std::unique_ptr<io::DeviceQueue>(int depth)> make_device_queue;  // empty: the
                                                                                 // system's
};

// That of the options, or this machine.
const Environment& environment_of(const EngineOptions& options);

}  // namespace sluice::engine
