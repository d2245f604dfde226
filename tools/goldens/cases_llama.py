"""Dense models: attention shapes, biases, every rope scaling."""

from case import SMALL_EMBEDDING, TIED_EMBEDDING, Case


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
