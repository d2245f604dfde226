"""The table of golden cases: what each tiny model is, and what it is there to show."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    name: str
    family: str  # transformers' model_type
    shows: str
    config: dict
    seed: int
    dtype: str = "bfloat16"  # of the weights in the file
    # Tensors whose name contains one of these stay float32 in a file of another dtype.
    keep_float32: tuple[str, ...] = ()
    # "new": rope_parameters, as transformers 5 writes. "old": rope_theta and rope_scaling, as transformers 4
    # writes, with "rope_type". "older": the same with "type", as files from before 4.45 have it.
    rope_style: str = "new"
    # Further rope styles to write as config.<style>.json; each must mean the same model.
    also: tuple[str, ...] = ()
    # Fields left out of config.json: older files lack them and mean transformers' default.
    absent: tuple[str, ...] = ()
    prompts: tuple[int, ...] = (40, 133)
    greedy: int = 64
    logit_stride: int = 1  # logits at every stride-th position and at the last
    keep_greedy_logits: bool = False
    max_shard_bytes: int | None = None
    fused_experts: bool = False  # the layout that transformers holds in memory, written on request only
    gains: dict = field(default_factory=dict)  # see weights.py


# Rows of the embedding so small that rms_norm_eps decides the first norm's result.
SMALL_EMBEDDING = {"embed_tokens": 0.01}

# A tied head sees the token's own embedding in the residual stream: large rows make a model repeat itself.
TIED_EMBEDDING = {"embed_tokens": 0.3}


def _llama(**changes) -> dict:
    config = dict(
        vocab_size=88,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    return config | changes


def _mixtral(**changes) -> dict:
    config = dict(
        vocab_size=88,
        hidden_size=32,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        num_local_experts=8,
        num_experts_per_tok=2,
        sliding_window=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    )
    return config | changes


def _qwen3_moe(**changes) -> dict:
    config = dict(
        vocab_size=88,
        hidden_size=32,
        intermediate_size=48,
        moe_intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=4096,
        num_experts=8,
        num_experts_per_tok=4,
        norm_topk_prob=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
    )
    return config | changes


def _olmoe(**changes) -> dict:
    config = dict(
        vocab_size=88,
        hidden_size=32,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        num_experts=8,
        num_experts_per_tok=4,
        norm_topk_prob=False,
        pad_token_id=None,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )
    return config | changes


def _rope(**parameters) -> dict:
    return {"rope_theta": 10000.0} | parameters


LLAMA = [
    Case("llama_gqa", "llama", "4 query heads on 2 kv heads, untied", _llama(), 11, dtype="float32", also=("old",)),
    Case(
        "llama_mha",
        "llama",
        "as many kv heads as query heads, in the config of an old file: few fields, no rope fields at all",
        _llama(num_key_value_heads=4, head_dim=8, max_position_embeddings=2048, rms_norm_eps=1e-6),
        12,
        rope_style="old",
        absent=(
            "num_key_value_heads",
            "head_dim",
            "attention_bias",
            "mlp_bias",
            "rope_theta",
            "rope_scaling",
            "attention_dropout",
            "pretraining_tp",
        ),
        gains=SMALL_EMBEDDING,
    ),
    Case(
        "llama_mqa_tied",
        "llama",
        "one kv head, tied embeddings, rope_theta 500000, float16",
        _llama(
            num_key_value_heads=1,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
        ),
        13,
        dtype="float16",
        gains=TIED_EMBEDDING,
        also=("old",),
    ),
    Case(
        "llama_odd",
        "llama",
        "sizes that no tile divides; head_dim 20 where hidden / heads is 12",
        _llama(hidden_size=48, intermediate_size=100, vocab_size=131, head_dim=20),
        14,
    ),
    Case(
        "llama_bias",
        "llama",
        "attention_bias and mlp_bias, 3 query heads per kv head",
        _llama(
            hidden_size=36,
            num_attention_heads=6,
            head_dim=8,
            attention_bias=True,
            mlp_bias=True,
            num_hidden_layers=4,
        ),
        15,
    ),
    Case(
        "llama_rope_linear",
        "llama",
        "rope scaling linear",
        _llama(rope_parameters=_rope(rope_type="linear", factor=3.0)),
        16,
        rope_style="older",
        also=("old", "new"),
    ),
    Case(
        "llama_rope_dynamic",
        "llama",
        "rope scaling dynamic: one prompt crosses max_position_embeddings (64) while it decodes, one is longer from "
        "the start; logits of the decode steps are kept, since a prefill over the same tokens gives others",
        _llama(
            max_position_embeddings=64,
            rope_parameters=_rope(rope_type="dynamic", factor=2.5),
        ),
        17,
        rope_style="older",
        also=("old", "new"),
        keep_greedy_logits=True,
    ),
    Case(
        "llama_rope_llama3",
        "llama",
        "rope scaling llama3, frequencies in all three bands",
        _llama(
            rope_parameters=_rope(
                rope_type="llama3",
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=64,
            )
        ),
        18,
        also=("old",),
    ),
    Case(
        "llama_rope_yarn",
        "llama",
        "rope scaling yarn with nothing but factor and original_max_position_embeddings",
        _llama(
            max_position_embeddings=8192,
            rope_parameters=_rope(rope_type="yarn", factor=8.0, original_max_position_embeddings=1024),
        ),
        19,
        also=("old", "older"),
    ),
    Case(
        "llama_rope_yarn_mscale",
        "llama",
        "yarn with mscale, mscale_all_dim, beta_fast, beta_slow, truncate false",
        _llama(
            rope_parameters=_rope(
                rope_type="yarn",
                factor=8.0,
                original_max_position_embeddings=64,
                mscale=1.3,
                mscale_all_dim=0.6,
                beta_fast=4.0,
                beta_slow=0.5,
                truncate=False,
            )
        ),
        20,
        rope_style="old",
        also=("new",),
    ),
    Case(
        "llama_rope_yarn_attention_factor",
        "llama",
        "yarn with attention_factor, and a factor that is not max_position_embeddings / the original",
        _llama(
            rope_parameters=_rope(
                rope_type="yarn",
                factor=4.0,
                original_max_position_embeddings=100,
                attention_factor=0.8,
                mscale=1.3,
            )
        ),
        21,
        rope_style="old",
        also=("new",),
    ),
    Case(
        "llama_long",
        "llama",
        "a prompt of 700 tokens",
        _llama(max_position_embeddings=2048),
        22,
        prompts=(700,),
        logit_stride=16,
    ),
]

MIXTRAL = [
    Case(
        "mixtral_top2_of_4",
        "mixtral",
        "sliding_window null",
        _mixtral(num_local_experts=4),
        31,
        dtype="float32",
        also=("old",),
    ),
    Case(
        "mixtral_top2_of_8",
        "mixtral",
        "sliding_window set, longer than any sequence; head_dim absent; an older config",
        _mixtral(sliding_window=4096),
        32,
        rope_style="old",
        absent=("head_dim", "rope_scaling"),
        gains=SMALL_EMBEDDING,
    ),
    Case(
        "mixtral_sharded",
        "mixtral",
        "three shards and an index, experts of a layer in different shards; router and norms float32, the rest bfloat16",
        _mixtral(num_local_experts=4),
        33,
        keep_float32=("gate.weight", "norm"),
        max_shard_bytes=30 * 1024,
    ),
    Case(
        "mixtral_fused",
        "mixtral",
        "the experts of a layer as one tensor, as transformers 5 writes with save_original_format=False",
        _mixtral(num_local_experts=4),
        34,
        fused_experts=True,
    ),
    Case(
        "mixtral_tied",
        "mixtral",
        "tied embeddings, head_dim 12 where hidden / heads is 8, top-3",
        _mixtral(num_local_experts=6, num_experts_per_tok=3, head_dim=12, tie_word_embeddings=True),
        35,
        dtype="float16",
        gains=TIED_EMBEDDING,
    ),
    Case(
        "mixtral_long",
        "mixtral",
        "a prompt of 700 tokens",
        _mixtral(num_local_experts=4),
        36,
        prompts=(700,),
        logit_stride=16,
    ),
]

QWEN3_MOE = [
    Case("qwen3_moe_norm", "qwen3_moe", "norm_topk_prob true, head_dim twice hidden / heads", _qwen3_moe(), 41, also=("old",)),
    Case(
        "qwen3_moe_raw",
        "qwen3_moe",
        "norm_topk_prob false, attention_bias, 16 experts; router float32, the rest bfloat16",
        _qwen3_moe(norm_topk_prob=False, attention_bias=True, num_experts=16, rms_norm_eps=1e-5),
        42,
        keep_float32=("gate.weight",),
        rope_style="old",
        gains=SMALL_EMBEDDING,
    ),
    Case(
        "qwen3_moe_sparse_step",
        "qwen3_moe",
        "decoder_sparse_step 2: layers 0 and 2 are dense",
        _qwen3_moe(decoder_sparse_step=2, num_hidden_layers=4),
        43,
    ),
    Case(
        "qwen3_moe_mlp_only",
        "qwen3_moe",
        "mlp_only_layers [1], tied embeddings, one kv head, float16",
        _qwen3_moe(
            mlp_only_layers=[1],
            num_hidden_layers=3,
            tie_word_embeddings=True,
            num_key_value_heads=1,
            sliding_window=None,
            max_window_layers=3,
        ),
        44,
        dtype="float16",
        gains=TIED_EMBEDDING,
    ),
    Case(
        "qwen3_moe_yarn",
        "qwen3_moe",
        "yarn as this family's users switch it on: factor 4, config otherwise as it was",
        _qwen3_moe(
            max_position_embeddings=5120,
            rope_parameters={
                "rope_theta": 1000000.0,
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 4096,
            },
        ),
        45,
        rope_style="old",
        also=("new",),
    ),
]

OLMOE = [
    Case(
        "olmoe_clip",
        "olmoe",
        "clip_qkv set low enough to clip often, norm_topk_prob false",
        _olmoe(clip_qkv=0.9),
        51,
        also=("old",),
    ),
    Case(
        "olmoe_norm",
        "olmoe",
        "clip_qkv null, norm_topk_prob true, 2 kv heads, attention_bias, 16 experts",
        _olmoe(norm_topk_prob=True, num_key_value_heads=2, attention_bias=True, num_experts=16),
        52,
        rope_style="old",
        gains=SMALL_EMBEDDING,
    ),
]

CASES = LLAMA + MIXTRAL + QWEN3_MOE + OLMOE
