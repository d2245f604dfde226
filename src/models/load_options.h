// How a source of weights loads many tensors at once.
#pragma once

#include <cstdint>
#include <functional>

namespace sluice::io {
class Faults;
}

namespace sluice::models {

struct LoadOptions {
  // Bytes of the files that are loaded, and of all that will be; now and then, on the caller's
  // thread.
  std::function<void(int64_t done, int64_t total)> progress;
  // What lies in the page cache is taken from there, the rest is read past it.
  bool from_page_cache = true;
  io::Faults* faults = nullptr;  // tests: what befalls reads; borrowed
};

}  // namespace sluice::models
