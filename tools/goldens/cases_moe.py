"""Mixture-of-experts models: routers, expert layouts, qk-norms, sparse layers."""

from case import SMALL_EMBEDDING, TIED_EMBEDDING, Case


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
