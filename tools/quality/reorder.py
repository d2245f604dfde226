"""The same Mixtral with its channels in another order: equal answers, other blocks. What a quantizer costs differs from
order to order, mostly by which tokens come to change experts; a mean over several orders says more than one."""

import copy

import torch


def permute_columns(weight: torch.nn.Parameter, order: torch.Tensor) -> None:
    weight.data = weight.data[..., order].contiguous()


def permute_rows(weight: torch.nn.Parameter, order: torch.Tensor) -> None:
    """Rows of a matrix, or of each of a stack of them."""
    weight.data = weight.data.index_select(weight.dim() - 2, order).contiguous()


def reordered(model, seed: int):
    """A copy; seed 0 keeps the order."""
    model = copy.deepcopy(model)
    if seed == 0:
        return model
    config, random = model.config, torch.Generator().manual_seed(seed)
    hidden = torch.randperm(config.hidden_size, generator=random)
    for name, weight in model.named_parameters():
        if weight.dim() == 1:
            weight.data = weight.data[hidden]
        elif name.endswith(("o_proj.weight", "down_proj")):
            permute_rows(weight, hidden)
        else:
            permute_columns(weight, hidden)
    for layer in model.model.layers:
        reorder_experts(layer.mlp.experts, random)
        reorder_values(layer.self_attn, config, random)
    return model


def reorder_experts(experts, random: torch.Generator) -> None:
    """The channels between gate and up, and down."""
    width = experts.down_proj.shape[-1]
    order = torch.randperm(width, generator=random)
    permute_rows(experts.gate_up_proj, torch.cat([order, width + order]))
    permute_columns(experts.down_proj, order)


def reorder_values(attention, config, random: torch.Generator) -> None:
    """The channels within each head of values; queries and keys are bound to their order by RoPE."""
    order = torch.randperm(config.head_dim, generator=random)

    def in_heads(heads: int) -> torch.Tensor:
        return (torch.arange(heads).unsqueeze(1) * config.head_dim + order).reshape(-1)

    permute_rows(attention.v_proj.weight, in_heads(config.num_key_value_heads))
    permute_columns(attention.o_proj.weight, in_heads(config.num_attention_heads))
