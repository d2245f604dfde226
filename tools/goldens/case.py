"""What a golden case is made of."""

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
