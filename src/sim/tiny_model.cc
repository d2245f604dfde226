#include "sim/tiny_model.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/json.h"
#include "engine/build_engine.h"
#include "models/family.h"
#include "models/tensors.h"
#include "sim/random.h"
#include "weights/safetensors_writer.h"

namespace sluice::sim {

const TinyModel kTinyModelTable[kTinyModels] = {
    {"mixtral8", R"({"architectures": ["MixtralForCausalLM"], "model_type": "mixtral",
      "bos_token_id": 1, "eos_token_id": 95, "vocab_size": 96, "hidden_size": 32,
      "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
      "num_key_value_heads": 1, "num_local_experts": 8, "num_experts_per_tok": 2,
      "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
      "rope_theta": 10000.0, "sliding_window": null, "tie_word_embeddings": false})",
     "none", true},
    {"qwen32", R"({"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
      "bos_token_id": 1, "eos_token_id": 95, "vocab_size": 96, "hidden_size": 32,
      "intermediate_size": 32, "moe_intermediate_size": 32, "num_hidden_layers": 3,
      "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "num_experts": 32,
      "num_experts_per_tok": 4, "norm_topk_prob": true, "decoder_sparse_step": 1,
      "mlp_only_layers": [1], "attention_bias": false, "hidden_act": "silu",
      "max_position_embeddings": 512, "rms_norm_eps": 1e-06, "rope_theta": 10000.0,
      "rope_scaling": null, "sliding_window": null, "use_sliding_window": false,
      "tie_word_embeddings": false})",
     "q8", true},
    {"olmoe16", R"({"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe",
      "pad_token_id": 1, "eos_token_id": 95, "vocab_size": 96, "hidden_size": 32,
      "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
      "num_key_value_heads": 2, "num_experts": 16, "num_experts_per_tok": 3,
      "norm_topk_prob": false, "attention_bias": false, "clip_qkv": null,
      "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
      "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false})",
     nullptr, true},
    {"olmoe24", R"({"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe",
      "pad_token_id": 1, "eos_token_id": 95, "vocab_size": 96, "hidden_size": 32,
      "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2,
      "num_key_value_heads": 2, "num_experts": 24, "num_experts_per_tok": 2,
      "norm_topk_prob": true, "attention_bias": false, "clip_qkv": null,
      "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
      "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": false})",
     "q4", true},
    {"llama", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
      "bos_token_id": 1, "eos_token_id": 95, "vocab_size": 96, "hidden_size": 32,
      "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
      "num_key_value_heads": 1, "head_dim": 16, "attention_bias": false, "mlp_bias": false,
      "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
      "rope_theta": 10000.0, "rope_scaling": null, "tie_word_embeddings": true})",
     nullptr, false}};

namespace {

namespace fs = std::filesystem;

// About normal, of variance 1 / fan-in but for norms, so that activations keep their size.
std::vector<float> values_of(const models::TensorSlot& slot, Random& random) {
  const bool norm = !slot.is_matrix();
  const double fan_in = static_cast<double>(slot.shape[slot.shape.rank - 1]);
  const double scale = slot.slot == models::Slot::kEmbedding ? 1.0 : 1.5 / std::sqrt(fan_in);
  std::vector<float> values(static_cast<size_t>(slot.shape.elements()));
  for (float& value : values) {
    double sum = -2;
    for (int i = 0; i < 4; ++i) sum += random.share();
    value = static_cast<float>(norm ? 1.0 + 0.2 * sum : sum * std::sqrt(3.0) * scale);
  }
  return values;
}

Status write_checkpoint(const TinyModel& model, const fs::path& directory) {
  SLUICE_ASSIGN(const Json json, base::parse_json(model.config));
  SLUICE_ASSIGN(const models::Family* family, models::find_family(json));
  SLUICE_ASSIGN(const models::ModelConfig config, family->read(json));
  const auto table = models::tensor_table(config, family->names());
  std::vector<weights::TensorDecl> tensors;
  for (const models::TensorSlot& slot : table) {
    const auto dims = std::span(slot.shape.dims).first(static_cast<size_t>(slot.shape.rank));
    tensors.push_back({slot.name, tensor::DType::kF32, {dims.begin(), dims.end()}});
  }
  SLUICE_ASSIGN(auto writer, weights::SafetensorsWriter::create(directory / "model.safetensors",
                                                                tensors, {{"format", "pt"}}));
  Random random(20260101);
  for (const models::TensorSlot& slot : table) {
    const std::vector<float> values = values_of(slot, random);
    SLUICE_TRY(writer.append(std::as_bytes(std::span(values))));
  }
  SLUICE_TRY(writer.finish());
  std::ofstream file(directory / "config.json");
  file << model.config << '\n';
  if (!file.flush())
    return Error{ErrorCode::kIo, "cannot write " + (directory / "config.json").string()};
  return {};
}

}  // namespace

Result<std::string> make_tiny_model(const TinyModel& model, const std::string& directory) {
  const fs::path made = fs::path(directory) / model.name;
  std::error_code failure;
  fs::create_directories(made, failure);
  if (failure)
    return Error{ErrorCode::kIo, "cannot make " + made.string() + ": " + failure.message()};
  SLUICE_TRY(write_checkpoint(model, made));
  if (model.quant == nullptr) return made.string();
  const std::string built = made.string() + "-built";
  SLUICE_ASSIGN(const auto result,
                engine::build_engine(made.string(), built, {.quant = model.quant, .threads = 1}));
  (void)result;
  return built;
}

}  // namespace sluice::sim
