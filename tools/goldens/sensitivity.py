"""Shows that the goldens would notice a wrong implementation.

    python sensitivity.py tests/golden

Each change below makes one typical mistake in the config or the weights that transformers is given; the logits
must then differ from the committed ones by far more than the tolerance (1e-3) that implementations are held to.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import torch
import transformers

import oracle

NOTICEABLE = 2e-2


def _set(**fields):
    return lambda config, _tensors: config.update(fields)


def _rope(**fields):
    def change(config, _tensors):
        key = "rope_parameters" if config.get("rope_parameters") else "rope_scaling"
        config[key] = {k: v for k, v in (config[key] | fields).items() if v is not None}

    return change


def _no_rope_scaling(config, _tensors):
    config.pop("rope_parameters", None)
    config["rope_scaling"] = None


def _edit_tensors(part: str, edit):
    def change(_config, tensors):
        names = [name for name in tensors if part in name]
        assert names, part
        for name in names:
            tensors[name] = edit(tensors[name]).contiguous()

    return change


def _interleave(head_dim: int):
    """Rows of each head as an implementation that rotates neighbours would read them."""

    def edit(weight):
        heads = weight.view(-1, 2, head_dim // 2, *weight.shape[1:])
        return heads.transpose(1, 2).reshape(weight.shape)

    return edit


def _swap_experts(config, tensors):
    a, b = (f"model.layers.0.mlp.experts.{e}.down_proj.weight" for e in (0, 1))
    tensors[a], tensors[b] = tensors[b], tensors[a]


CHANGES = [
    ("llama_gqa", "rope theta", _rope(rope_theta=20000.0)),
    ("llama_gqa", "neighbouring rope pairs", _edit_tensors("q_proj", _interleave(16))),
    ("llama_mha", "rms_norm_eps", _set(rms_norm_eps=1e-5)),
    ("llama_mha", "rope_theta that is absent", _set(rope_theta=20000.0)),
    ("llama_mqa_tied", "rope theta", _rope(rope_theta=10000.0)),
    ("llama_bias", "o_proj bias", _edit_tensors("o_proj.bias", torch.zeros_like)),
    ("llama_bias", "k_proj bias", _edit_tensors("k_proj.bias", torch.zeros_like)),
    ("llama_bias", "down_proj bias", _edit_tensors("down_proj.bias", torch.zeros_like)),
    ("llama_rope_linear", "no scaling", _no_rope_scaling),
    ("llama_rope_dynamic", "no scaling", _no_rope_scaling),
    ("llama_rope_dynamic", "factor", _rope(factor=2.0)),
    ("llama_rope_llama3", "no scaling", _no_rope_scaling),
    ("llama_rope_llama3", "low_freq_factor", _rope(low_freq_factor=1.5)),
    ("llama_rope_llama3", "high_freq_factor", _rope(high_freq_factor=3.0)),
    ("llama_rope_llama3", "original_max_position_embeddings", _rope(original_max_position_embeddings=512)),
    ("llama_rope_yarn", "no scaling", _no_rope_scaling),
    ("llama_rope_yarn", "attention factor left out", _rope(attention_factor=1.0)),
    ("llama_rope_yarn", "beta_fast", _rope(beta_fast=8.0)),
    ("llama_rope_yarn", "beta_slow", _rope(beta_slow=2.0)),
    ("llama_rope_yarn", "no truncation", _rope(truncate=False)),
    ("llama_rope_yarn_mscale", "mscale ignored", _rope(mscale=None, mscale_all_dim=None)),
    ("llama_rope_yarn_mscale", "truncation", _rope(truncate=True)),
    ("llama_rope_yarn_mscale", "beta_fast", _rope(beta_fast=32.0)),
    ("llama_rope_yarn_mscale", "beta_slow", _rope(beta_slow=1.0)),
    ("llama_rope_yarn_attention_factor", "attention_factor ignored", _rope(attention_factor=None)),
    ("llama_rope_yarn_attention_factor", "factor from the ratio", _rope(factor=5.12)),
    ("mixtral_top2_of_4", "top-1", _set(num_experts_per_tok=1)),
    ("mixtral_top2_of_8", "rms_norm_eps", _set(rms_norm_eps=1e-6)),
    ("mixtral_top2_of_8", "a window that cuts", _set(sliding_window=100)),
    ("mixtral_tied", "head_dim scale", _edit_tensors("q_proj", lambda w: w * (12 / 8) ** 0.5)),
    ("qwen3_moe_norm", "norm_topk_prob", _set(norm_topk_prob=False)),
    ("qwen3_moe_norm", "q_norm", _edit_tensors("q_norm", torch.ones_like)),
    ("qwen3_moe_norm", "k_norm", _edit_tensors("k_norm", torch.ones_like)),
    ("qwen3_moe_norm", "two experts swapped", _swap_experts),
    ("qwen3_moe_raw", "norm_topk_prob", _set(norm_topk_prob=True)),
    ("qwen3_moe_raw", "v_proj bias", _edit_tensors("v_proj.bias", torch.zeros_like)),
    ("qwen3_moe_yarn", "factor from the ratio", _rope(factor=1.25)),
    ("olmoe_clip", "no clip", _set(clip_qkv=None)),
    ("olmoe_clip", "norm_topk_prob", _set(norm_topk_prob=True)),
    ("olmoe_norm", "norm_topk_prob", _set(norm_topk_prob=False)),
    ("olmoe_norm", "k_norm", _edit_tensors("k_norm", torch.ones_like)),
    ("olmoe_norm", "rms_norm_eps", _set(rms_norm_eps=1e-6)),
]


def largest_difference(folder: Path, change, scratch: Path) -> float:
    shutil.copytree(folder, scratch)
    config = json.loads((scratch / "config.json").read_text())
    tensors = safetensors.torch.load_file(scratch / "model.safetensors")
    change(config, tensors)
    (scratch / "config.json").write_text(json.dumps(config))
    safetensors.torch.save_file(tensors, scratch / "model.safetensors", metadata={"format": "pt"})
    golden = safetensors.torch.load_file(scratch / "golden.safetensors")
    worst = 0.0
    for i in range(2):
        logits, _ = oracle.prefill(oracle.load(scratch), golden[f"input_ids_{i}"].long())
        worst = max(worst, float((logits - golden[f"logits_{i}"]).abs().max()))
    return worst


def main() -> None:
    golden = Path(sys.argv[1])
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    unnoticed = []
    for case, what, change in CHANGES:
        with tempfile.TemporaryDirectory() as scratch:
            worst = largest_difference(golden / case, change, Path(scratch) / case)
        print(f"{case}: {what}: {worst:.3g}", flush=True)
        if worst < NOTICEABLE:
            unnoticed.append(f"{case}: {what}")
    if unnoticed:
        sys.exit("not noticed: " + "; ".join(unnoticed))


if __name__ == "__main__":
    main()
