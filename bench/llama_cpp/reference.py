"""A forward pass over a GGUF file in numpy, layer by layer, in several arithmetics at once: exact (f32 products of the
widened weights), and as each engine rounds activations before it multiplies. What the roundings do to the logits is
the tolerance within which the engines must agree."""

import gguf
import numpy as np

HEAD_ROWS = 8192  # of the vocabulary, widened at a time


def half(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float16).astype(np.float32)


def bfloat(x: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)


def codes_of(x: np.ndarray, span: int, keep_scale) -> np.ndarray:
    """8-bit codes in spans, the largest magnitude 127; the scale stored as keep_scale has it."""
    spans = x.reshape(*x.shape[:-1], x.shape[-1] // span, span)
    scale = np.abs(spans).max(-1, keepdims=True) / np.float32(127)
    codes = np.rint(np.divide(spans, scale, out=np.zeros_like(spans), where=scale > 0))
    return (codes * keep_scale(scale)).reshape(x.shape)


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


class Exact:
    name = "exact"
    queries = kv = staticmethod(as_it_is)

    def rounded(self, x: np.ndarray, kind: str) -> np.ndarray:
        """Activations as a product with weights of GGUF's type `kind` takes them."""
        return x


class LlamaCpp(Exact):
    """Q8_K, 256 values to an f32 scale, for the K types and IQ4_XS; Q8_0, 32 to an f16 scale, for other blocks; else
    the weights' own type. Keys and values, and queries before they meet keys, are f16."""
    name = "llama.cpp"
    queries = kv = staticmethod(half)

    def rounded(self, x: np.ndarray, kind: str) -> np.ndarray:
        if kind == "F32":
            return x
        if kind in ("F16", "BF16"):
            return half(x) if kind == "F16" else bfloat(x)
        if kind.endswith("_K") or kind == "IQ4_XS":
            return codes_of(x, 256, as_it_is)
        return codes_of(x, 32, half)


class Sluice(Exact):
    """32 values to an f32 scale for every block type (src/kernels/quantized_rows.h); f32 all else."""
    name = "sluice"

    def rounded(self, x: np.ndarray, kind: str) -> np.ndarray:
        return x if kind in ("F32", "F16", "BF16") else codes_of(x, 32, as_it_is)


class Weights:
    """A GGUF file's tensors by name, widened when asked for; each must be asked for in the end."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}
        self.unread = set(self.tensors)
        self.arch = self.field("general.architecture")

    def field(self, key: str, default=None):
        found = self.reader.fields.get(key)
        return default if found is None else found.contents()

    def own(self, key: str, default=None):
        return self.field(f"{self.arch}.{key}", default)

    def kind(self, name: str) -> str:
        return self.tensors[name].tensor_type.name

    def rows(self, name: str, part=slice(None)) -> np.ndarray:
        """Some rows of a matrix, or some matrices of a stack."""
        self.unread.discard(name)
        tensor = self.tensors[name]
        return gguf.quants.dequantize(tensor.data[part], tensor.tensor_type).astype(np.float32, copy=False)


class Forward:
    """One sequence's hidden states in each arithmetic."""

    def __init__(self, weights: Weights, arithmetics: list):
        self.weights, self.arithmetics = weights, arithmetics
        own = weights.own
        if weights.arch not in ("llama", "olmoe", "qwen3moe"):
            raise SystemExit(f"{weights.arch}: this pass knows llama, olmoe and qwen3moe")
        if any(key.startswith(f"{weights.arch}.rope.scaling") for key in weights.reader.fields):
            raise SystemExit("rope scaling: this pass has none")
        self.heads = own("attention.head_count")
        self.kv_heads = own("attention.head_count_kv", self.heads)
        self.head_dim = own("attention.key_length", own("embedding_length") // self.heads)
        self.epsilon = np.float32(own("attention.layer_norm_rms_epsilon"))
        self.base = own("rope.freq_base", 10000.0)
        self.used = own("expert_used_count", 0)
        self.normalized = weights.arch != "olmoe"  # the chosen experts' shares sum to 1

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt(np.mean(np.square(x), -1, keepdims=True) + self.epsilon) * self.weights.rows(name)

    def product(self, inputs: list, name: str) -> list:
        """x W^T for each arithmetic's x."""
        return self.multiply(inputs, self.weights.rows(name), self.weights.kind(name))

    def multiply(self, inputs: list, matrix: np.ndarray, kind: str) -> list:
        return [a.rounded(x, kind) @ matrix.T for a, x in zip(self.arithmetics, inputs)]

    def rotate(self, x: np.ndarray) -> np.ndarray:
        """x [tokens, heads, head_dim]; llama's files pair neighbours, the others' halves."""
        half_dim = self.head_dim // 2
        angles = np.arange(len(x))[:, None] * self.base ** (-np.arange(half_dim) / half_dim)
        cos, sin = (f(angles).astype(np.float32)[:, None] for f in (np.cos, np.sin))
        first, second = ((slice(0, None, 2), slice(1, None, 2)) if self.weights.arch == "llama" else
                         (slice(0, half_dim), slice(half_dim, None)))
        out = np.empty_like(x)
        out[..., first] = x[..., first] * cos - x[..., second] * sin
        out[..., second] = x[..., first] * sin + x[..., second] * cos
        return out

    def prepared(self, x: np.ndarray, name: str, heads: int) -> np.ndarray:
        """Queries or keys: normed, over all heads or each by itself as the gains' size says, and rotated."""
        if name in self.weights.tensors:
            if self.weights.tensors[name].data.shape[-1] == x.shape[-1]:
                x = self.norm(x, name)
            else:
                x = self.norm(x.reshape(len(x), heads, self.head_dim), name)
        return self.rotate(x.reshape(len(x), heads, self.head_dim))

    def attend(self, queries, keys, values) -> np.ndarray:
        group = self.heads // self.kv_heads
        keys, values = (np.repeat(t, group, axis=1) for t in (keys, values))
        scores = np.einsum("qhd,khd->hqk", queries, keys) / np.float32(np.sqrt(self.head_dim))
        scores[:, np.triu(np.ones(scores.shape[1:], dtype=bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return np.einsum("hqk,khd->qhd", shares, values).reshape(len(queries), -1)

    def attention(self, states: list, at: str) -> list:
        normed = [self.norm(x, at + "attn_norm.weight") for x in states]
        q, k, v = (self.product(normed, f"{at}attn_{letter}.weight") for letter in "qkv")
        out = []
        for a, queries, keys, values in zip(self.arithmetics, q, k, v):
            queries = self.prepared(queries, at + "attn_q_norm.weight", self.heads)
            keys = self.prepared(keys, at + "attn_k_norm.weight", self.kv_heads)
            values = values.reshape(len(values), self.kv_heads, self.head_dim)
            out.append(self.attend(a.queries(queries), a.kv(keys), a.kv(values)))
        return self.product(out, at + "attn_output.weight")

    def gated(self, inputs: list, parts: list) -> list:
        """down(silu(gate x) * up x); parts are (matrix, type) of gate, up, down."""
        gate, up = (self.multiply(inputs, *part) for part in parts[:2])
        return self.multiply([g / (1 + np.exp(-g)) * u for g, u in zip(gate, up)], *parts[2])

    def experts(self, normed: list, at: str) -> list:
        out = [np.zeros_like(x) for x in normed]
        shares = []
        for logits in self.product(normed, at + "ffn_gate_inp.weight"):
            p = np.exp(logits - logits.max(-1, keepdims=True))
            p /= p.sum(-1, keepdims=True)
            p[p < np.sort(p, -1)[:, -self.used, None]] = 0
            shares.append(p / p.sum(-1, keepdims=True) if self.normalized else p)
        names = [f"{at}ffn_{part}_exps.weight" for part in ("gate", "up", "down")]
        for e in range(shares[0].shape[1]):
            rows = [np.flatnonzero(p[:, e]) for p in shares]
            if not any(map(len, rows)):
                continue
            parts = [(self.weights.rows(name, e), self.weights.kind(name)) for name in names]
            for total, p, r, y in zip(out, shares, rows, self.gated([x[r] for x, r in zip(normed, rows)], parts)):
                total[r] += p[r, e, None] * y
        return out

    def ffn(self, states: list, at: str) -> list:
        normed = [self.norm(x, at + "ffn_norm.weight") for x in states]
        if at + "ffn_gate_inp.weight" in self.weights.tensors:
            return self.experts(normed, at)
        names = [f"{at}ffn_{part}.weight" for part in ("gate", "up", "down")]
        return self.gated(normed, [(self.weights.rows(name), self.weights.kind(name)) for name in names])

    def logits(self, tokens: list) -> list:
        """[tokens, vocab] of each arithmetic."""
        embedded = self.weights.rows("token_embd.weight", np.asarray(tokens))
        states = [embedded for _ in self.arithmetics]
        for layer in range(self.weights.own("block_count")):
            for block in (self.attention, self.ffn):
                states = [x + y for x, y in zip(states, block(states, f"blk.{layer}."))]
        states = [self.norm(x, "output_norm.weight") for x in states]
        name = "output.weight" if "output.weight" in self.weights.tensors else "token_embd.weight"
        vocab = len(self.weights.tensors[name].data)
        parts = [self.multiply(states, self.weights.rows(name, slice(i, i + HEAD_ROWS)), self.weights.kind(name))
                 for i in range(0, vocab, HEAD_ROWS)]
        if self.weights.unread:
            raise SystemExit(f"this pass has no use for {', '.join(sorted(self.weights.unread)[:4])}")
        return [np.concatenate([part[i] for part in parts], axis=1) for i in range(len(states))]
