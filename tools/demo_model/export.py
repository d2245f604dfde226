"""Writes a model as a Hugging Face directory: Mixtral's config.json and bf16 model.safetensors."""

import json
import os

import torch
from safetensors.torch import save_file

from conversation import BOS, END, ENDOFTEXT, PAD, SPECIAL_TOKENS
from model import Config, Model
from vocabulary import save_tokenizer


def mixtral_tensors(model: Model) -> dict[str, torch.Tensor]:
    """The model's weights under Mixtral's names."""
    c, out = model.c, {"model.embed_tokens.weight": model.embed}
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    for i, layer in enumerate(model.layers):
        name = f"model.layers.{i}."
        out[name + "input_layernorm.weight"] = layer.norm1
        out[name + "post_attention_layernorm.weight"] = layer.norm2
        for part, rows in zip("qkv", layer.qkv.split((q, kv, kv))):
            out[f"{name}self_attn.{part}_proj.weight"] = rows
        out[name + "self_attn.o_proj.weight"] = layer.o
        out[name + "block_sparse_moe.gate.weight"] = layer.gate
        for e in range(c.experts):
            expert = f"{name}block_sparse_moe.experts.{e}."
            out[expert + "w1.weight"], out[expert + "w3.weight"] = layer.w13[e].chunk(2)
            out[expert + "w2.weight"] = layer.w2[e]
    out["model.norm.weight"], out["lm_head.weight"] = model.norm, model.head
    return out


def config_json(c: Config) -> dict:
    """config.json of MixtralForCausalLM."""
    ids = {t: i for i, t in enumerate(SPECIAL_TOKENS)}
    return {
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "attention_dropout": 0.0,
        "bos_token_id": ids[BOS], "eos_token_id": ids[END], "pad_token_id": ids[PAD], "head_dim": c.head_dim,
        "hidden_act": "silu", "hidden_size": c.hidden, "initializer_range": 0.02, "intermediate_size": c.intermediate,
        "max_position_embeddings": c.max_positions, "num_attention_heads": c.heads, "num_experts_per_tok": c.top_k,
        "num_hidden_layers": c.layers, "num_key_value_heads": c.kv_heads, "num_local_experts": c.experts,
        "output_router_logits": False, "rms_norm_eps": c.rms_eps, "rope_theta": c.rope_theta,
        "router_aux_loss_coef": 0.01, "router_jitter_noise": 0.0, "sliding_window": None, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": c.vocab_size}


def export(model: Model, tokenizer, folder: str) -> None:
    """Writes the whole directory; each file appears under its name only when complete."""
    os.makedirs(folder, exist_ok=True)
    ids = {t: i for i, t in enumerate(SPECIAL_TOKENS)}
    generation = {"bos_token_id": ids[BOS], "eos_token_id": [ids[END], ids[ENDOFTEXT]], "pad_token_id": ids[PAD],
                  "do_sample": False, "max_new_tokens": 64}
    for name, content in (("config.json", config_json(model.c)), ("generation_config.json", generation)):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
    save_tokenizer(tokenizer, folder, model.c.max_positions)
    tensors = {k: v.detach().to(torch.bfloat16).contiguous().clone() for k, v in mixtral_tensors(model).items()}
    target = os.path.join(folder, "model.safetensors")
    save_file(tensors, target + ".tmp", metadata={"format": "pt"})
    os.chmod(target + ".tmp", 0o644)
    os.replace(target + ".tmp", target)
