"""Routers whose experts are chosen as often as Zipf's law says; bench/make_model/router_skew.h says why that takes a
direction that all hidden states share. Here it lies in the first COMMON dimensions, one block of the embedding's type:
they are the same in every token's row, and the residual branches add little to them. Router rows are noise outside of
them, plus a multiple of them, which acts as a bias."""

import math
import statistics

import numpy as np

COMMON = 32  # dimensions: a block of Q8_0
COMMON_VALUE = 8.0  # in each of them, beside a deviation of 1 in the others
RESIDUAL_SCALE = 0.1  # of what attention and experts add, beside a uniform model's
MOST = 0.95  # of the tokens may choose one expert
TOKENS, ROUNDS, STEP = 1 << 14, 60, 0.5


def parse(text: str) -> float:
    """The alpha of "uniform" (0) or "zipf:ALPHA"."""
    if text == "uniform":
        return 0.0
    kind, _, alpha = text.partition(":")
    if kind != "zipf" or not 0 < float(alpha) <= 4:
        raise ValueError(text)
    return float(alpha)


def inclusion(experts: int, top_k: int, alpha: float) -> np.ndarray:
    """How likely each expert, most popular first, is among a token's top_k: in Zipf's ratios, up to MOST."""
    shares = np.arange(1, experts + 1) ** -alpha
    low, high = 0.0, 1e12
    for _ in range(200):
        scale = (low + high) / 2
        low, high = (scale, high) if np.minimum(MOST, scale * shares).sum() < top_k else (low, scale)
    return np.minimum(MOST, low * shares)


def offsets(experts: int, top_k: int, alpha: float) -> np.ndarray:
    """Of the logits, in deviations of their noise, most popular first: found by simulation."""
    quantile = np.vectorize(statistics.NormalDist().inv_cdf)
    wanted = quantile(inclusion(experts, top_k, alpha))
    noise = np.random.Generator(np.random.SFC64(1)).standard_normal((TOKENS, experts), dtype=np.float32)
    found = wanted.copy()
    for _ in range(ROUNDS):
        chosen = np.argpartition(-(noise + found), top_k, axis=1)[:, :top_k]
        # Half a count each: no logarithm of nothing.
        reached = (np.bincount(chosen.ravel(), minlength=experts) + 0.5) / (TOKENS + 1)
        found += STEP * (wanted - quantile(np.minimum(reached, 1 - 1e-6)))
    return found - found.mean()


def rows(hidden: int, found: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """f32 [experts, hidden], for the offsets `found`; which expert is the popular one is drawn."""
    made = rng.standard_normal((len(found), hidden), dtype=np.float32) / np.float32(math.sqrt(hidden))
    made[:, :COMMON] = 0
    noise = math.sqrt((hidden - COMMON) / hidden)  # a logit's deviation, as the state's other dimensions have 1
    made[rng.permutation(len(found)), :COMMON] = (found * noise / (COMMON * COMMON_VALUE))[:, None]
    return made


def share_direction(kind: str, embedding: np.ndarray) -> None:
    """Writes the common direction into rows of the embedding: uint8 [rows, row bytes]."""
    if kind == "Q8_0":  # an f16 scale, then 32 codes
        embedding[:, :2] = np.array([COMMON_VALUE / 64], "<f2").view(np.uint8)
        embedding[:, 2:34] = 64
    elif kind == "BF16":
        embedding[:, :2 * COMMON].view("<u2")[:] = np.array([COMMON_VALUE], "<f4").view("<u4")[0] >> 16
    else:
        raise ValueError(f"--router zipf: an embedding of {kind} is not made; use --format q8_0, mxfp4 or bf16")
