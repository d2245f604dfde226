#include "models/checkpoint_tensors.h"

#include <cstring>
#include <set>
#include <string>

#include "weights/match.h"

namespace sluice::models {
namespace {

constexpr const char* kTiedHead = "lm_head.weight";

// Some checkpoints of tied models carry the head all the same: harmless when it equals the
// embedding.
Status check_tied_head(const ModelConfig& config, const weights::Checkpoint& checkpoint) {
  if (!config.tied_embeddings || checkpoint.gguf() != nullptr ||
      checkpoint.find(kTiedHead) == nullptr) {
    return {};
  }
  SLUICE_ASSIGN(const tensor::TensorView head, checkpoint.tensor(kTiedHead));
  SLUICE_ASSIGN(const tensor::TensorView embedding, checkpoint.tensor("model.embed_tokens.weight"));
  if (head.dtype == embedding.dtype && head.shape == embedding.shape &&
      std::memcmp(head.data, embedding.data, static_cast<size_t>(head.bytes())) == 0) {
    return {};
  }
  return Error{ErrorCode::kInvalid,
               checkpoint.root().string() +
                   ": config.json ties the embeddings, but 'lm_head.weight' differs from "
                   "'model.embed_tokens.weight'; set 'tie_word_embeddings' to false"};
}

const weights::StoredDType& type_of(const TensorSlot& tensor,
                                    const weights::Checkpoint& checkpoint) {
  return *checkpoint.find(tensor.name)->dtype;
}

// Only what is multiplied with activations in codes may lie in blocks.
Status check_type(const TensorSlot& tensor, const weights::Checkpoint& checkpoint) {
  const weights::StoredDType& stored = type_of(tensor, checkpoint);
  if (stored.block_elements == 1 || (tensor.is_matrix() && tensor.slot != Slot::kRouter)) return {};
  return Error{ErrorCode::kUnsupported, checkpoint.where() + ": tensor '" + tensor.name +
                                            "' is stored as " + stored.name +
                                            "; norms, biases and routers are read as floats only"};
}

}  // namespace

const char* name(Naming naming) {
  switch (naming) {
    case Naming::kFamily:
      return "family";
    case Naming::kStacked:
      return "stacked";
    case Naming::kGguf:
      return "gguf";
  }
  base::check_failed("known naming", "a Naming outside its enum", __FILE__, __LINE__);
}

std::optional<Naming> parse_naming(std::string_view text) {
  for (const Naming naming : {Naming::kFamily, Naming::kStacked, Naming::kGguf}) {
    if (text == name(naming)) return naming;
  }
  return std::nullopt;
}

const TensorNames& names_of(Naming naming, const Family& family) {
  switch (naming) {
    case Naming::kFamily:
      return family.names();
    case Naming::kStacked:
      return stacked_expert_names();
    case Naming::kGguf:
      return gguf_names(family.interleaved_rotary);
  }
  base::check_failed("known naming", "a Naming outside its enum", __FILE__, __LINE__);
}

Naming naming_in(const weights::Checkpoint& checkpoint, const ModelConfig& config) {
  if (checkpoint.gguf() != nullptr) return Naming::kGguf;
  for (int layer = 0; layer < config.layer_count(); ++layer) {
    if (!config.layers[static_cast<size_t>(layer)].ffn.is_moe()) continue;
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    if (checkpoint.find(prefix + stacked_expert_names().expert_gate) != nullptr)
      return Naming::kStacked;
    break;
  }
  return Naming::kFamily;
}

const TensorNames& names_in(const weights::Checkpoint& checkpoint, const ModelConfig& config,
                            const Family& family) {
  return names_of(naming_in(checkpoint, config), family);
}

Status check_tensors(const ModelConfig& config, const std::vector<TensorSlot>& table,
                     const weights::Checkpoint& checkpoint) {
  std::vector<weights::TensorSpec> specs;
  specs.reserve(table.size());
  std::set<std::string> named;  // a stack stands in the table once for each of its parts
  for (const TensorSlot& tensor : table) {
    if (named.insert(tensor.name).second) {
      specs.push_back({.name = tensor.name, .shape = tensor.stored_shape});
    }
  }
  std::vector<std::string> ignored = kIgnoredTensors;
  if (checkpoint.gguf() != nullptr) {
    ignored.clear();
    if (!config.rope.divisors.empty()) ignored.push_back(kGgufRopeDivisors);
  } else if (config.tied_embeddings) {
    ignored.push_back(kTiedHead);
  }
  if (auto matched = weights::match(checkpoint, specs, ignored); !matched) return matched.error();
  for (const TensorSlot& tensor : table) SLUICE_TRY(check_type(tensor, checkpoint));
  return check_tied_head(config, checkpoint);
}

}  // namespace sluice::models
