// Whether what a manifest states fits together.
#pragma once

#include <string_view>

#include "base/error.h"
#include "weights/engine_manifest.h"

namespace sluice::weights {

// Takes numbers that are in the ranges of parse_engine_manifest(), which says what is checked.
Status check_engine_manifest(const EngineManifest& manifest);

}  // namespace sluice::weights
