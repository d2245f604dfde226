"""What transformers computes for a model folder, in fp32, one sequence at a time, on a fresh model each."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM


def load(folder: Path, config_name: str = "config.json") -> torch.nn.Module:
    config = AutoConfig.from_pretrained(folder / config_name)
    model, info = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        attn_implementation="eager",
        experts_implementation="eager",
        output_loading_info=True,
    )
    unwelcome = {kind: names for kind, names in info.items() if names}
    if unwelcome:
        raise RuntimeError(f"{folder}: transformers does not load it cleanly: {unwelcome}")
    return model.eval()


@dataclass
class Routing:
    """How a model's routers chose, over the calls since it was attached."""

    thinnest: list[torch.Tensor]  # per call: [tokens], the least gap of k-th to next probability over the layers
    used: list[torch.Tensor]  # per MoE layer: [experts], tokens sent to each


def watch_routers(model: torch.nn.Module) -> Routing:
    routers = [m for m in model.modules() if type(m).__name__.endswith("TopKRouter")]
    routing = Routing([], [torch.zeros(r.num_experts, dtype=torch.int64) for r in routers])

    def hook(layer: int, top_k: int):
        def record(_module, _inputs, outputs):
            probabilities = outputs[0].float().softmax(-1).sort(-1, descending=True)
            gap = probabilities.values[:, top_k - 1] - probabilities.values[:, top_k]
            if layer == 0:
                routing.thinnest.append(gap)
            else:
                routing.thinnest[-1] = torch.minimum(routing.thinnest[-1], gap)
            chosen = probabilities.indices[:, :top_k].flatten()
            routing.used[layer] += chosen.bincount(minlength=probabilities.values.shape[1])

        return record

    for layer, router in enumerate(routers):
        router.register_forward_hook(hook(layer, router.top_k))
    return routing


@torch.no_grad()
def prefill(model: torch.nn.Module, ids: torch.Tensor):
    """Logits [tokens, vocab] at every position of one sequence, and its KV cache."""
    out = model(input_ids=ids[None], use_cache=True)
    return out.logits[0], out.past_key_values


@torch.no_grad()
def continue_greedily(model: torch.nn.Module, last_logits: torch.Tensor, cache, tokens: int):
    """The next `tokens` argmax tokens, with no stop at EOS, and the logits [tokens, vocab] they were chosen from."""
    chosen, logits = [], [last_logits]
    for step in range(tokens):
        chosen.append(int(logits[-1].argmax()))
        if step + 1 < tokens:
            out = model(input_ids=torch.tensor([[chosen[-1]]]), past_key_values=cache, use_cache=True)
            logits.append(out.logits[0, -1])
    return torch.tensor(chosen), torch.stack(logits)


def least_margin(logits: torch.Tensor) -> float:
    top = logits.topk(2, dim=-1).values
    return float((top[:, 0] - top[:, 1]).min())
