// The tensors that a model wants, against those that a checkpoint has.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/view.h"
#include "weights/checkpoint.h"

namespace sluice::weights {

struct TensorSpec {
  std::string name;
  tensor::Shape shape;
  bool required = true;
};

struct Matched {
  // One for each spec, in their order; nothing for an optional tensor that is absent. The views
  // live as long as the checkpoint.
  std::vector<std::optional<tensor::TensorView>> views;
  // Names in the checkpoint that no spec wants and a pattern excuses.
  std::vector<std::string> ignored;
};

// How many names of each kind an error lists before it only counts.
constexpr size_t kMaxNamesListed = 8;

// Finds every spec's tensor. One error tells of everything at once: tensors that are missing, that
// have another shape, and that the model does not know and no pattern of `ignore` excuses.
// A tensor of an element type that sluice does not read is refused by name (kUnsupported).
// Patterns: '*' stands for any text, '?' for one byte: "*.rotary_emb.inv_freq".
Result<Matched> match(const Checkpoint& checkpoint, std::span<const TensorSpec> specs,
                      std::span<const std::string> ignore = {});

// Whether `name` as a whole has the form of `pattern`. Linear in both but for their product in the
// worst case; never recursive.
bool matches_pattern(std::string_view name, std::string_view pattern);

}  // namespace sluice::weights
