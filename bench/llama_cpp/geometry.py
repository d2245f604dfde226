"""The shapes of two published models, the mixes of types that llama.cpp's quantizer gives such models, and from both
the list of a GGUF file's tensors."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Geometry:
    name: str  # as make_model names it
    arch: str  # as GGUF names it
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    experts: int
    experts_used: int
    expert_inner: int
    inner: int  # the file's feed_forward_length
    vocab: int
    context: int
    epsilon: float
    rope_base: float
    norm_per_head: bool  # of queries and keys: each head by itself, or all at once
    pre_tokenizer: str


# From each model's config.json on the Hugging Face hub: allenai/OLMoE-1B-7B-0924, Qwen/Qwen3-30B-A3B.
GEOMETRIES = {g.name: g for g in (
    Geometry("olmoe-1b-7b", "olmoe", layers=16, hidden=2048, heads=16, kv_heads=16, head_dim=128, experts=64,
             experts_used=8, expert_inner=1024, inner=1024, vocab=50304, context=4096, epsilon=1e-5, rope_base=1e4,
             norm_per_head=False, pre_tokenizer="olmo"),
    Geometry("qwen3-30b-a3b", "qwen3moe", layers=48, hidden=2048, heads=32, kv_heads=4, head_dim=128, experts=128,
             experts_used=8, expert_inner=768, inner=6144, vocab=151936, context=40960, epsilon=1e-6, rope_base=1e6,
             norm_per_head=True, pre_tokenizer="qwen2"),
)}


def cut(geometry: Geometry, layers: int) -> Geometry:
    return dataclasses.replace(geometry, layers=min(layers, geometry.layers)) if layers else geometry


@dataclasses.dataclass(frozen=True)
class Tensor:
    name: str
    kind: str  # GGUF's type
    shape: tuple  # rows last but one, columns (along which blocks lie) last
    mean: float
    deviation: float

    @property
    def rows(self) -> int:
        return math.prod(self.shape[:-1])

    @property
    def columns(self) -> int:
        return self.shape[-1]


def more_bits(layer: int, layers: int) -> bool:
    """The layers whose attn_v and ffn_down llama.cpp's _M mixes store in a larger type: the first and last eighth, and
    each third between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def q4_k_m(role: str, layer: int, layers: int) -> str:
    if role == "output" or role in ("attn_v", "ffn_down_exps") and more_bits(layer, layers):
        return "Q6_K"
    return "Q4_K"


# Of a matrix's role and layer: its type. FORMATS' keys are what --formats takes; the numbers are GGUF's file types.
FORMATS = {
    "q4_k_m": (15, q4_k_m),
    "q4_0": (2, lambda role, layer, layers: "Q6_K" if role == "output" else "Q4_0"),
    "q8_0": (7, lambda role, layer, layers: "Q8_0"),
    "mxfp4": (38, lambda role, layer, layers: "MXFP4" if role.endswith("_exps") else "Q8_0"),
    "bf16": (32, lambda role, layer, layers: "BF16"),
}


def tensors(geometry: Geometry, mix: str, residual: float = 1.0) -> list:
    """In the order of the file. Matrices get a deviation of 1 / sqrt(columns), so that a normed input of deviation 1
    gives outputs of deviation 1, and the router's choices are even; gains of norms lie around 1. What a layer adds to its
    input is `residual` times that."""
    g = geometry
    kind = FORMATS[mix][1]
    queries, keys = g.heads * g.head_dim, g.kv_heads * g.head_dim
    listed = []

    def matrix(name, role, layer, *shape, scale=1.0):
        listed.append(Tensor(name + ".weight", kind(role, layer, g.layers), shape, 0.0, scale / math.sqrt(shape[-1])))

    def gains(name, size):
        listed.append(Tensor(name + ".weight", "F32", (size,), 1.0, 0.1))

    # Of deviation 1, as what the layers add to it is.
    matrix("token_embd", "token_embd", 0, g.vocab, g.hidden, scale=math.sqrt(g.hidden))
    for i in range(g.layers):
        at = f"blk.{i}."
        gains(at + "attn_norm", g.hidden)
        matrix(at + "attn_q", "attn_q", i, queries, g.hidden)
        matrix(at + "attn_k", "attn_k", i, keys, g.hidden)
        matrix(at + "attn_v", "attn_v", i, keys, g.hidden)
        gains(at + "attn_q_norm", g.head_dim if g.norm_per_head else queries)
        gains(at + "attn_k_norm", g.head_dim if g.norm_per_head else keys)
        matrix(at + "attn_output", "attn_output", i, g.hidden, queries, scale=residual)
        gains(at + "ffn_norm", g.hidden)
        listed.append(Tensor(at + "ffn_gate_inp.weight", "F32", (g.experts, g.hidden), 0.0, 1 / math.sqrt(g.hidden)))
        matrix(at + "ffn_gate_exps", "ffn_gate_exps", i, g.experts, g.expert_inner, g.hidden)
        matrix(at + "ffn_up_exps", "ffn_up_exps", i, g.experts, g.expert_inner, g.hidden)
        matrix(at + "ffn_down_exps", "ffn_down_exps", i, g.experts, g.hidden, g.expert_inner, scale=residual)
    gains("output_norm", g.hidden)
    matrix("output", "output", 0, g.vocab, g.hidden)
    return listed
