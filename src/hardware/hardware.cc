#include "hardware/hardware.h"

#include <algorithm>

namespace sluice::hardware {

const char* name(LevelKind kind) {
  switch (kind) {
    case LevelKind::kDevice:
      return "device";
    case LevelKind::kHost:
      return "host";
    case LevelKind::kDisk:
      return "disk";
  }
  base::check_failed("known level kind", "a LevelKind outside its enum", __FILE__, __LINE__);
}

const char* name(Source source) {
  switch (source) {
    case Source::kMeasured:
      return "measured";
    case Source::kStated:
      return "stated";
    case Source::kAssumed:
      return "assumed";
  }
  base::check_failed("known source", "a Source outside its enum", __FILE__, __LINE__);
}

const Level* Hardware::find(std::string_view level) const {
  const auto at = std::ranges::find(levels, level, &Level::name);
  return at == levels.end() ? nullptr : &*at;
}

const Level* Hardware::find(LevelKind kind) const {
  const auto at = std::ranges::find(levels, kind, &Level::kind);
  return at == levels.end() ? nullptr : &*at;
}

}  // namespace sluice::hardware
