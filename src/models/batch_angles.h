// The angles by which an iteration's rows turn: the same in every layer, so taken once.
#pragma once

#include "models/activations.h"
#include "models/batch_view.h"
#include "models/forward.h"

namespace sluice::models {

void fill_angles(const ForwardContext& context, const BatchView& batch, Activations& activations);

}  // namespace sluice::models
