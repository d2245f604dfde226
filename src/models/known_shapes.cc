// Sizes as the models' authors publish them in config.json: facts, no weights.
#include <array>

#include "models/shape.h"

namespace sluice::models {
namespace {

constexpr std::array kShapes = {
    KnownShape{"mixtral-8x7b", "https://huggingface.co/mistralai/Mixtral-8x7B-v0.1", R"({
      "architectures": ["MixtralForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
      "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
      "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000,
      "max_position_embeddings": 32768, "torch_dtype": "bfloat16"})"},
    KnownShape{"mixtral-8x22b", "https://huggingface.co/mistralai/Mixtral-8x22B-v0.1", R"({
      "architectures": ["MixtralForCausalLM"], "hidden_size": 6144, "num_hidden_layers": 56,
      "num_attention_heads": 48, "num_key_value_heads": 8, "intermediate_size": 16384,
      "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000,
      "max_position_embeddings": 65536, "torch_dtype": "bfloat16"})"},
    KnownShape{"dbrx", "https://huggingface.co/databricks/dbrx-base", R"({
      "architectures": ["DbrxForCausalLM"], "d_model": 6144, "n_layers": 40, "n_heads": 48,
      "attn_config": {"kv_n_heads": 8}, "vocab_size": 100352, "max_seq_len": 32768,
      "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4},
      "torch_dtype": "bfloat16"})"},
    KnownShape{"deepseek-v3", "https://huggingface.co/deepseek-ai/DeepSeek-V3", R"({
      "architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168, "num_hidden_layers": 61,
      "num_attention_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
      "qk_nope_head_dim": 128, "v_head_dim": 128, "intermediate_size": 18432,
      "moe_intermediate_size": 2048, "n_routed_experts": 256, "num_experts_per_tok": 8,
      "n_shared_experts": 1, "first_k_dense_replace": 3, "vocab_size": 129280,
      "max_position_embeddings": 163840, "torch_dtype": "bfloat16"})"},
    KnownShape{"kimi-k2", "https://huggingface.co/moonshotai/Kimi-K2-Instruct", R"({
      "architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168, "num_hidden_layers": 61,
      "num_attention_heads": 64, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
      "qk_nope_head_dim": 128, "v_head_dim": 128, "intermediate_size": 18432,
      "moe_intermediate_size": 2048, "n_routed_experts": 384, "num_experts_per_tok": 8,
      "n_shared_experts": 1, "first_k_dense_replace": 1, "vocab_size": 163840,
      "max_position_embeddings": 131072, "torch_dtype": "bfloat16"})"},
    KnownShape{"gpt-oss-120b", "https://huggingface.co/openai/gpt-oss-120b", R"({
      "architectures": ["GptOssForCausalLM"], "hidden_size": 2880, "num_hidden_layers": 36,
      "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
      "intermediate_size": 2880, "num_local_experts": 128, "num_experts_per_tok": 4,
      "sliding_window": 128, "vocab_size": 201088,
      "max_position_embeddings": 131072, "torch_dtype": "bfloat16"})"},
    KnownShape{"qwen3-235b-a22b", "https://huggingface.co/Qwen/Qwen3-235B-A22B", R"({
      "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 94,
      "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128,
      "intermediate_size": 12288, "moe_intermediate_size": 1536, "num_experts": 128,
      "num_experts_per_tok": 8, "norm_topk_prob": true, "vocab_size": 151936,
      "max_position_embeddings": 40960, "torch_dtype": "bfloat16"})"},
    KnownShape{"qwen3-30b-a3b", "https://huggingface.co/Qwen/Qwen3-30B-A3B", R"({
      "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 48,
      "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
      "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
      "num_experts_per_tok": 8, "norm_topk_prob": true, "vocab_size": 151936,
      "max_position_embeddings": 40960, "torch_dtype": "bfloat16"})"},
    KnownShape{"olmoe-1b-7b", "https://huggingface.co/allenai/OLMoE-1B-7B-0924", R"({
      "architectures": ["OlmoeForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 16,
      "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 1024,
      "num_experts": 64, "num_experts_per_tok": 8, "vocab_size": 50304,
      "max_position_embeddings": 4096, "torch_dtype": "bfloat16"})"},
    KnownShape{"glm-4.5", "https://huggingface.co/zai-org/GLM-4.5", R"({
      "architectures": ["Glm4MoeForCausalLM"], "hidden_size": 5120, "num_hidden_layers": 92,
      "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128,
      "intermediate_size": 12288, "moe_intermediate_size": 1536, "n_routed_experts": 160,
      "num_experts_per_tok": 8, "n_shared_experts": 1, "first_k_dense_replace": 3,
      "vocab_size": 151552, "max_position_embeddings": 131072, "torch_dtype": "bfloat16"})"},
    KnownShape{"llama-3.1-405b", "https://huggingface.co/meta-llama/Llama-3.1-405B", R"({
      "architectures": ["LlamaForCausalLM"], "hidden_size": 16384, "num_hidden_layers": 126,
      "num_attention_heads": 128, "num_key_value_heads": 8, "intermediate_size": 53248,
      "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16"})"},
};

}  // namespace

std::span<const KnownShape> known_shapes() { return kShapes; }

Result<ModelConfig> known_shape(std::string_view name) {
  std::string known;
  for (const KnownShape& shape : kShapes) {
    if (name == shape.name) {
      SLUICE_ASSIGN(const Json json, base::parse_json(shape.config));
      return read_shape(json);
    }
    known += (known.empty() ? "" : ", ") + std::string(shape.name);
  }
  return Error{ErrorCode::kInvalid,
               "no published model is called '" + std::string(name) + "' here; there are " + known};
}

}  // namespace sluice::models
