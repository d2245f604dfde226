"""Random weights for a tiny model: large enough that attention, routers and logits are far from flat.

transformers' own init (std 0.02, norms all one) gives logits that hardly depend on the input, which would
hide a wrong rope, norm or router.
"""

import math

import torch

# Standard deviation of a product's output over that of its input, by part of the parameter's name.
GAINS = {
    "embed_tokens": 1.0,  # of the rows themselves
    "q_proj": 1.4,
    "k_proj": 1.4,
    "v_proj": 1.0,
    "o_proj": 1.0,
    "gate_up_proj": 1.4,
    "gate_proj": 1.4,
    "up_proj": 1.4,
    "down_proj": 1.4,
    "mlp.gate.": 1.5,  # router
    "lm_head": 2.5,
}


def _fill(name: str, parameter: torch.Tensor, gains: dict, generator: torch.Generator) -> torch.Tensor:
    if "norm" in name:
        return 0.5 + torch.rand(parameter.shape, generator=generator)
    noise = torch.randn(parameter.shape, generator=generator)
    if name.endswith(".bias"):
        return 0.3 * noise
    gain = next(gain for part, gain in gains.items() if part in name)
    if "embed_tokens" in name:
        return gain * noise
    return noise * (gain / math.sqrt(parameter.shape[-1]))


def randomize(model: torch.nn.Module, changed_gains: dict, seed: int) -> None:
    gains = GAINS | changed_gains
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(_fill(name, parameter, gains, generator))


def cast(model: torch.nn.Module, dtype: torch.dtype, keep_float32: tuple[str, ...]) -> None:
    for name, parameter in model.named_parameters():
        if not any(part in name for part in keep_float32):
            parameter.data = parameter.data.to(dtype)
