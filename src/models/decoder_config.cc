#include "models/decoder_config.h"

#include <algorithm>
#include <cmath>

#include "models/rope_config.h"

namespace sluice::models {
namespace {

AttentionConfig read_attention(HfConfig& config, int64_t hidden, const DecoderDefaults& defaults) {
  AttentionConfig attention;
  const int64_t heads = config.size("num_attention_heads", kMaxHeads);
  const int64_t kv_default = defaults.kv_heads > 0 ? defaults.kv_heads : heads;
  const int64_t kv_heads = config.size_or("num_key_value_heads", kv_default, kMaxHeads);
  const int64_t head_dim =
      config.size_or("head_dim", std::max<int64_t>(hidden / heads, 1), kMaxHeadDim);
  if (!config.has("head_dim") && hidden % heads != 0) {
    config.fail({ErrorCode::kInvalid,
                 config.where() + ": 'hidden_size' is not a multiple of 'num_attention_heads' and "
                                  "'head_dim' is not given"});
  }
  if (heads % kv_heads != 0) {
    config.fail(
        {ErrorCode::kInvalid,
         config.where() + ": 'num_attention_heads' is not a multiple of 'num_key_value_heads'"});
  }
  if (head_dim % 2 != 0 || head_dim < 4) {
    config.fail(
        {ErrorCode::kInvalid,
         config.where() + ": 'head_dim' must be even and at least 4 for rotary embeddings"});
  }
  attention.q_heads = static_cast<int>(heads);
  attention.kv_heads = static_cast<int>(kv_heads);
  attention.head_dim = static_cast<int>(head_dim);
  attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  return attention;
}

}  // namespace

ModelConfig read_decoder(HfConfig& config, const char* family, const DecoderDefaults& defaults) {
  ModelConfig model;
  model.family = family;
  model.hidden = static_cast<int>(config.size("hidden_size", kMaxHidden));
  model.vocab = static_cast<int>(config.size("vocab_size"));
  model.max_positions =
      config.size_or("max_position_embeddings", defaults.max_positions, kMaxPositions);
  model.norm_eps = static_cast<float>(config.real_or("rms_norm_eps", defaults.norm_eps));
  model.tied_embeddings = config.flag_or("tie_word_embeddings", false);
  const auto layers = static_cast<size_t>(config.size("num_hidden_layers", kMaxLayers));
  model.layers.assign(layers, {read_attention(config, model.hidden, defaults), {}});
  model.rope = read_rope(config, defaults.rope_theta, model.max_positions);
  model.max_positions = scaled_positions(model.rope, model.max_positions);
  if (const std::string act = config.text_or("hidden_act", "silu"); act != "silu") {
    config.fail({ErrorCode::kUnsupported,
                 config.where() + ": 'hidden_act' is '" + act + "'; only 'silu' is supported"});
  }
  if (const auto bos = config.token_ids("bos_token_id"); !bos.empty()) model.bos = bos.front();
  model.eos = config.token_ids("eos_token_id");
  config.ignore({"architectures",
                 "model_type",
                 "torch_dtype",
                 "dtype",
                 "transformers_version",
                 "use_cache",
                 "initializer_range",
                 "attention_dropout",
                 "pad_token_id",
                 "pretraining_tp",
                 "output_attentions",
                 "output_hidden_states",
                 "return_dict",
                 "chunk_size_feed_forward",
                 "is_encoder_decoder",
                 "id2label",
                 "label2id",
                 "problem_type",
                 "tokenizer_class",
                 "auto_map"});
  return model;
}

void read_sliding_window(HfConfig& config, bool in_use, ModelConfig& model) {
  const auto window = config.optional_size("sliding_window");
  if (in_use && window) model.max_positions = std::min(model.max_positions, *window);
}

}  // namespace sluice::models
