"""A compact Mixtral for training on a CPU; its weights map one to one to Hugging Face's names.

Tokens of all sequences lie flat, [tokens, hidden], without padding; only attention pads, per group of
sequences of similar length. Experts' tokens are sorted by expert, one GEMM per expert and matrix.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


ROWS = 64  # matrices have multiples of this many rows: oneDNN compiles, and then keeps, a kernel per shape


@dataclass(frozen=True)
class Config:
    """Shape of the model, in Mixtral's terms."""

    vocab_size: int = 1024
    hidden: int = 256
    intermediate: int = 256
    layers: int = 5
    heads: int = 8
    kv_heads: int = 4
    head_dim: int = 32
    experts: int = 8
    top_k: int = 2
    rope_theta: float = 10000.0
    rms_eps: float = 1e-5
    max_positions: int = 1024


@dataclass
class Batch:
    """Flat tokens of sequences sorted by length, and how attention pads them."""

    ids: torch.Tensor  # [tokens]
    positions: torch.Tensor  # [tokens]
    gather: torch.Tensor  # [padded]: padded slot -> token (any token for a slot that is padding)
    scatter: torch.Tensor  # [tokens]: token -> padded slot
    real: torch.Tensor  # [padded, 1]: 1 where the slot holds a token, 0 where it is padding
    groups: list[tuple[int, int]]  # (sequences, padded length) of each group, in order
    weight: torch.Tensor  # [tokens]: share in the loss of predicting this token
    task: torch.Tensor  # [tokens]
    sequence: torch.Tensor  # [tokens]: which sequence


def make_batch(sequences, group_size: int = 24) -> Batch:
    """Sorts sequences by length and lays them flat."""
    sequences = sorted(sequences, key=lambda s: len(s.ids))
    gather, scatter, groups, start, slot = [], [], [], 0, 0
    for g in range(0, len(sequences), group_size):
        part = sequences[g:g + group_size]
        length = len(part[-1].ids)
        groups.append((len(part), length))
        for s in part:
            n = len(s.ids)
            gather += list(range(start, start + n)) + [start] * (length - n)
            scatter += range(slot, slot + n)
            start, slot = start + n, slot + length
    real = torch.zeros(slot, 1)
    real[scatter] = 1
    return Batch(
        real=real, ids=torch.tensor([i for s in sequences for i in s.ids]),
        positions=torch.tensor([i for s in sequences for i in range(len(s.ids))]),
        gather=torch.tensor(gather), scatter=torch.tensor(scatter), groups=groups,
        weight=torch.tensor([w for s in sequences for w in s.weight]),
        task=torch.tensor([t for s in sequences for t in s.task]),
        sequence=torch.tensor([i for i, s in enumerate(sequences) for _ in s.ids]))


class _Take(torch.autograd.Function):
    """x[index] where x = y[back] undoes it; the backward pass is a gather too, not a slow scatter-add."""

    @staticmethod
    def forward(ctx, x, index, back, real):
        ctx.save_for_backward(index, back, real)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, grad):
        _, back, real = ctx.saved_tensors
        out = grad.index_select(0, back)
        return (out if real is None else out * real), None, None, None


class _Rope(torch.autograd.Function):
    """Rotary embedding of x [tokens, heads, head_dim] in Hugging Face's half-split form."""

    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin)

    @staticmethod
    def backward(ctx, grad):
        cos, sin = ctx.saved_tensors
        return _rotate(grad, cos, -sin), None, None


@torch.compile(dynamic=True)
def _rotate(x, cos, sin):
    """cos, sin: [tokens, 1, head_dim / 2]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class _Experts(torch.autograd.Function):
    """SwiGLU experts over tokens sorted by expert, and the weighted sum of each token's top-k."""

    @staticmethod
    def forward(ctx, x, w13, w2, weights, rows):
        xs = x.index_select(0, rows.token)
        gate_up = _grouped(xs, w13.transpose(1, 2), rows.counts)
        act = _swiglu(gate_up)
        out = _grouped(act, w2.transpose(1, 2), rows.counts).index_select(0, rows.row).view(*weights.shape, -1)
        ctx.save_for_backward(xs, gate_up, act, out, w13, w2, weights)
        ctx.rows = rows
        return torch.bmm(weights.to(out.dtype).unsqueeze(1), out).squeeze(1)

    @staticmethod
    def backward(ctx, dy):
        xs, gate_up, act, out, w13, w2, weights = ctx.saved_tensors
        rows, counts = ctx.rows, ctx.rows.counts
        dweights = torch.bmm(out, dy.unsqueeze(2)).squeeze(2).to(weights.dtype)
        row_weights = dy.new_zeros(len(rows.token), 1)  # 0 in padding: so that nothing of it reaches a gradient
        row_weights[rows.row] = weights.reshape(-1, 1).to(dy.dtype)
        dout = dy.index_select(0, rows.token) * row_weights
        dgate_up = _swiglu_backward(_grouped(dout, w2, counts), gate_up)
        dx = _grouped(dgate_up, w13, counts).index_select(0, rows.row).view(*weights.shape, -1).sum(1)
        return dx, _grouped_outer(dgate_up, xs, counts), _grouped_outer(dout, act, counts), dweights, None


@dataclass
class Rows:
    """Tokens sorted by expert, each expert's rows padded so that matrix shapes recur (see ROWS)."""

    counts: list[int]  # per expert, with padding
    token: torch.Tensor  # [rows]: the token a row holds; 0 in padding
    row: torch.Tensor  # [tokens * top_k]: where a choice lies


def sort_by_expert(chosen, experts: int) -> Rows:
    """chosen: [tokens, top_k]."""
    flat = chosen.reshape(-1)
    order = flat.argsort(stable=True)
    counts = flat.bincount(minlength=experts)
    padded = (counts + ROWS - 1) // ROWS * ROWS
    shift = (padded.cumsum(0) - padded) - (counts.cumsum(0) - counts)  # of an expert's first row
    sorted_rows = torch.arange(len(order)) + shift.repeat_interleave(counts)
    row = torch.empty_like(order)
    row[order] = sorted_rows
    padded = padded.tolist()
    token = torch.zeros(sum(padded), dtype=torch.long)
    token[sorted_rows] = order // chosen.shape[1]
    return Rows(padded, token, row)


@torch.compile(dynamic=True)
def _swiglu(gate_up):
    """[rows, 2 intermediate] -> [rows, intermediate]."""
    gate, up = gate_up.float().chunk(2, dim=-1)
    return (gate * torch.sigmoid(gate) * up).to(gate_up.dtype)


@torch.compile(dynamic=True)
def _swiglu_backward(dact, gate_up):
    gate, up = gate_up.float().chunk(2, dim=-1)
    sigmoid = torch.sigmoid(gate)
    silu = gate * sigmoid
    dact = dact.float()
    return torch.cat((dact * up * (sigmoid + silu * (1 - sigmoid)), dact * silu), dim=-1).to(gate_up.dtype)


@torch.compile(dynamic=True)
def _rms_norm(x, weight, eps):
    """x [tokens, hidden]."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def _grouped(x, w, counts):
    """x [rows, in] sorted by expert, w [experts, in, out] -> [rows, out]."""
    out = x.new_empty(x.shape[0], w.shape[2])
    start = 0
    for expert, n in enumerate(counts):
        if n:
            torch.mm(x[start:start + n], w[expert], out=out[start:start + n])
        start += n
    return out


def _grouped_outer(a, b, counts):
    """Per expert a^T b: [experts, a's width, b's width]."""
    out = a.new_zeros(len(counts), a.shape[1], b.shape[1])
    start = 0
    for expert, n in enumerate(counts):
        if n:
            torch.mm(a[start:start + n].t(), b[start:start + n], out=out[expert])
        start += n
    return out


class Layer(nn.Module):
    """One decoder layer. `dtype` is that of the large matrix products; norms and router stay in fp32."""

    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
        self.norm1 = nn.Parameter(torch.ones(c.hidden))
        self.norm2 = nn.Parameter(torch.ones(c.hidden))
        self.qkv = nn.Parameter(torch.randn(q + 2 * kv, c.hidden) * c.hidden**-0.5)
        self.o = nn.Parameter(torch.randn(c.hidden, q) * q**-0.5 * (2 * c.layers)**-0.5)
        self.gate = nn.Parameter(torch.randn(c.experts, c.hidden) * 0.02)
        self.w13 = nn.Parameter(torch.randn(c.experts, 2 * c.intermediate, c.hidden) * c.hidden**-0.5)
        self.w2 = nn.Parameter(
            torch.randn(c.experts, c.hidden, c.intermediate) * c.intermediate**-0.5 * (2 * c.layers)**-0.5)

    def attention(self, x, batch, cos, sin, dtype):
        """x [tokens, hidden] in `dtype` -> [tokens, hidden]."""
        c = self.c
        heads = c.heads + 2 * c.kv_heads
        qkv = F.linear(x, self.qkv.to(dtype)).float()  # attention in fp32: its bf16 backward is slow on CPUs
        qk, v = qkv.split(((c.heads + c.kv_heads) * c.head_dim, c.kv_heads * c.head_dim), dim=1)
        qk = _Rope.apply(qk.reshape(-1, c.heads + c.kv_heads, c.head_dim), cos, sin).flatten(1)
        padded = _Take.apply(torch.cat((qk, v), dim=1), batch.gather, batch.scatter, None)
        outputs = []
        parts = padded.split([sequences * length for sequences, length in batch.groups])
        for part, (sequences, length) in zip(parts, batch.groups):
            part = part.view(sequences, length, heads, c.head_dim).transpose(1, 2)
            q, k, v = part.split((c.heads, c.kv_heads, c.kv_heads), dim=1)
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            outputs.append(out.transpose(1, 2).reshape(sequences * length, -1))
        out = _Take.apply(torch.cat(outputs), batch.scatter, batch.gather, batch.real)
        return F.linear(out.to(dtype), self.o.to(dtype))

    def forward(self, h, batch, cos, sin, dtype):
        """-> (hidden states [tokens, hidden] fp32, router probabilities [tokens, experts], chosen [tokens, top_k])."""
        c = self.c
        x = _rms_norm(h, self.norm1, c.rms_eps).to(dtype)
        h = h + self.attention(x, batch, cos, sin, dtype)
        x = _rms_norm(h, self.norm2, c.rms_eps)
        probabilities = F.linear(x, self.gate).softmax(-1)
        weights, chosen = probabilities.topk(c.top_k, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        rows = sort_by_expert(chosen, c.experts)
        y = _Experts.apply(x.to(dtype), self.w13.to(dtype), self.w2.to(dtype), weights, rows)
        return h + y, probabilities, chosen


class Model(nn.Module):
    """Decoder of `Layer`s with an untied head."""

    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.embed = nn.Parameter(torch.randn(c.vocab_size, c.hidden))
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = nn.Parameter(torch.ones(c.hidden))
        self.head = nn.Parameter(torch.randn(c.vocab_size, c.hidden) * c.hidden**-0.5)
        frequencies = c.rope_theta ** (-torch.arange(0, c.head_dim, 2).float() / c.head_dim)
        angles = torch.arange(c.max_positions).float()[:, None] * frequencies
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, batch: Batch, dtype=torch.float32, wanted=None):
        """-> (logits of all or of the `wanted` tokens, each layer's router probabilities, and chosen experts)."""
        h = F.embedding(batch.ids, self.embed)
        cos, sin = (t[batch.positions].unsqueeze(1) for t in (self.cos, self.sin))
        probabilities, chosen = [], []
        for layer in self.layers:
            h, p, top = layer(h, batch, cos, sin, dtype)
            probabilities.append(p)
            chosen.append(top)
        h = h if wanted is None else h.index_select(0, wanted)
        h = _rms_norm(h, self.norm, self.c.rms_eps).to(dtype)
        return F.linear(h, self.head.to(dtype)), probabilities, chosen
