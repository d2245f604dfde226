// A layer's norm, router and top-k: the stages kRoute and kGuess.
#pragma once

#include "models/forward.h"

namespace sluice::models {

// Of a dense layer only the norm.
void route(const ForwardContext& context, int layer, int64_t rows, Activations& activations);

// The same over what the residual stream is before the layer has begun. What the experts of the
// layer before and this layer's attention will add is missing: little, so that most choices are
// those that the router will make. At most kMaxGuessRows rows.
void guess(const ForwardContext& context, int layer, int64_t rows, Activations& activations);

}  // namespace sluice::models
