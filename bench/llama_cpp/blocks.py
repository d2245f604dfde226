"""Random rows of weights in GGUF's types, made as blocks: codes at random, scales such that the weights have the
deviation that is asked for. No f32 weight is ever made, so that a file of many gigabytes takes seconds, not hours."""

import numpy as np

# Elements and bytes of a block.
SIZES = {"F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "Q4_0": (32, 18), "Q8_0": (32, 34), "MXFP4": (32, 17),
         "Q4_K": (256, 144), "Q6_K": (256, 210)}

# The deviation of a code drawn evenly from all: of 0..15, -127..127, 0..63, and of MXFP4's sixteen values.
DEVIATION_4_BITS = np.sqrt((16**2 - 1) / 12)
DEVIATION_8_BITS = np.sqrt((255**2 - 1) / 12)
DEVIATION_6_BITS = np.sqrt((64**2 - 1) / 12)
DEVIATION_MXFP4 = np.sqrt(np.mean(np.square([0, 1, 2, 3, 4, 6, 8, 12])))


def row_bytes(kind: str, columns: int) -> int:
    elements, size = SIZES[kind]
    if columns % elements:
        raise ValueError(f"a row of {columns} is not whole blocks of {kind}")
    return columns // elements * size


def random_rows(kind: str, rows: int, columns: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """uint8 [rows, row_bytes(kind, columns)]."""
    elements, size = SIZES[kind]
    blocks = rows * row_bytes(kind, columns) // size
    return MAKERS[kind](blocks, deviation, rng).view(np.uint8).reshape(rows, columns // elements * size)


def random_bytes(blocks: int, width: int, rng: np.random.Generator) -> np.ndarray:
    words = rng.bit_generator.random_raw((blocks * width + 7) // 8)
    return words.view(np.uint8)[: blocks * width].reshape(blocks, width)


def spread(blocks: int, rng: np.random.Generator) -> np.ndarray:
    """Factors of neighbouring blocks' scales, as those of real weights differ a little; their mean square is 1."""
    factors = rng.uniform(0.8, 1.2, size=(blocks, 1))
    return factors / np.sqrt(1 + 0.4**2 / 12)


def signs(blocks: int, rng: np.random.Generator) -> np.ndarray:
    """A code drawn evenly is not of mean 0 (from -8 to 7, say); a scale of either sign makes the weight so."""
    return rng.integers(0, 2, size=(blocks, 1)) * 2.0 - 1.0


def halves(values: np.ndarray) -> np.ndarray:
    return values.astype("<f2").view(np.uint8).reshape(len(values), -1)


def f32(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return (rng.standard_normal(blocks, dtype=np.float32) * np.float32(deviation)).astype("<f4")


def f16(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    return f32(blocks, deviation, rng).astype("<f2")


def bf16(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Sign, seven bits of fraction and the last bit of the exponent at random: two octaves, chosen so that their root
    mean square (2.415 times the lower one's beginning) is the nearest to what was asked for."""
    exponent = 127 + int(np.rint(np.log2(deviation / 2.415)))
    low = exponent & ~1
    bits = random_bytes(blocks, 2, rng).view("<u2").reshape(-1) & np.uint16(0x80FF)
    bits += np.uint16((low << 7) + (exponent - low << 7))
    return bits


def q4_0(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    scale = deviation / DEVIATION_4_BITS * spread(blocks, rng) * signs(blocks, rng)
    return np.hstack([halves(scale), random_bytes(blocks, 16, rng)])


def q8_0(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    codes = np.maximum(random_bytes(blocks, 32, rng).view(np.int8), -127)  # a quantizer never gives -128
    return np.hstack([halves(deviation / DEVIATION_8_BITS * spread(blocks, rng)), codes.view(np.uint8)])


def mxfp4(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """The scale is a power of two: of the two nearest, as often as the mean square asks for."""
    wanted = deviation / DEVIATION_MXFP4
    below = np.floor(np.log2(wanted))
    above_share = ((wanted / 2**below) ** 2 - 1) / 3
    exponent = 128 + below + (rng.random((blocks, 1)) < above_share)
    return np.hstack([exponent.astype(np.uint8), random_bytes(blocks, 16, rng)])


def q4_k(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """d * scale * code - dmin * minimum, where dmin = 7.5 d and the minimum is nearly the scale: of mean 0."""
    scale = rng.integers(32, 62, size=(blocks, 8), dtype=np.uint8)
    minimum = scale + rng.integers(0, 3, size=(blocks, 8), dtype=np.uint8) - 1
    d = deviation / (DEVIATION_4_BITS * np.sqrt(np.mean(np.arange(32.0, 62.0) ** 2))) * spread(blocks, rng)
    low, high = slice(0, 4), slice(4, 8)
    packed = np.hstack([scale[:, low] | (scale[:, high] >> 4) << 6, minimum[:, low] | (minimum[:, high] >> 4) << 6,
                        (scale[:, high] & 15) | (minimum[:, high] & 15) << 4])
    return np.hstack([halves(d), halves(7.5 * d), packed, random_bytes(blocks, 128, rng)])


def q6_k(blocks: int, deviation: float, rng: np.random.Generator) -> np.ndarray:
    magnitude = rng.integers(64, 128, size=(blocks, 16), dtype=np.int16)
    scale = np.where(rng.integers(0, 2, size=(blocks, 16)) == 0, magnitude, -magnitude).astype(np.int8)
    d = deviation / (DEVIATION_6_BITS * np.sqrt(np.mean(np.arange(64.0, 128.0) ** 2))) * spread(blocks, rng)
    return np.hstack([random_bytes(blocks, 192, rng), scale.view(np.uint8), halves(d)])


MAKERS = {"F32": f32, "F16": f16, "BF16": bf16, "Q4_0": q4_0, "Q8_0": q8_0, "MXFP4": mxfp4, "Q4_K": q4_k, "Q6_K": q6_k}
