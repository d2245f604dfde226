"""Writes the goldens of src/tensor: blocks of every format, and what the `gguf` package makes of them.

    python blocks.py ../../src/tensor/testdata [--check]

NAME.blocks are blocks of random bytes with chosen scales, zeros, subnormal numbers, infinities and NaN among
them; NAME.f32 are their values by gguf.quants.dequantize. values.f32 are numbers to quantize, values.NAME what
gguf.quants.quantize makes of them. --check makes all again and compares byte by byte.
"""

import argparse
import sys
import warnings
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, quants

# The bytes at which a block's f16 numbers begin; MXFP4's first byte is an exponent.
HALVES = {
    "q8_0": (0,), "q4_0": (0,), "q4_1": (0, 2), "q5_0": (0,), "q5_1": (0, 2), "q2_k": (80, 82), "q3_k": (108,),
    "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208,), "iq4_nl": (0,), "iq4_xs": (0,), "mxfp4": (),
}
# The first two are what weights have; they see every code. 0x0001 and 0x03ff are the smallest and the largest
# subnormal number, 0x7bff is 65504, 0x7c00 infinity, 0x7e00 NaN.
SCALES = (0x2a37, 0xa19c, 0x0000, 0x8000, 0x0001, 0x83ff, 0x7bff, 0xfbff, 0x7c00, 0x7e00)
SECOND_SCALES = (0x31c5, 0xb5f0, 0x2e66, 0x0000, 0x8001, 0x2a37, 0x7bff, 0x7bff, 0x2e66, 0x31c5)
EXPONENTS = (120, 125, 0, 1, 2, 3, 127, 252, 254, 255)
QUANTIZED = ("q8_0", "q4_0", "q4_1", "mxfp4")


def random_bytes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Every byte as often as any other, in random order."""
    return rng.permutation(np.arange(count) % 256).astype(np.uint8)


def blocks_of(name: str) -> np.ndarray:
    """[blocks, block bytes]; blocks of 32 come three times as many, so that Q8_0's 256 codes all occur."""
    elements, size = gguf.GGML_QUANT_SIZES[GGMLQuantizationType[name.upper()]]
    count = len(SCALES) * (3 if elements == 32 else 1)
    rng = np.random.default_rng(list(name.encode()))
    blocks = random_bytes(rng, count * size).reshape(count, size)
    for at, values in zip(HALVES[name], (SCALES, SECOND_SCALES)):
        blocks[:, at:at + 2] = np.resize(np.array(values, "<u2"), count).view(np.uint8).reshape(count, 2)
    if name == "mxfp4":
        blocks[:, 0] = np.resize(np.array(EXPONENTS, np.uint8), count)
    return blocks


def values() -> np.ndarray:
    """Rows of 256: weights of several sizes, some with outliers, one-sided ones, one with a block of zeros."""
    rng = np.random.default_rng(256)
    rows = rng.standard_normal((12, 256)) * np.array([0.02, 1, 3e-4, 50] * 3).reshape(12, 1)
    rows[4] *= rng.standard_t(3, 256)
    rows[5, ::37] *= 40
    rows[6] = np.abs(rows[6])
    rows[7] = np.abs(rows[7]) + 100
    rows[8, 64:96] = 0
    return rows.astype("<f4")


def make() -> dict[str, bytes]:
    """File name -> content."""
    files = {}
    for name in HALVES:
        blocks = blocks_of(name)
        files[f"{name}.blocks"] = blocks.tobytes()
        files[f"{name}.f32"] = quants.dequantize(blocks, GGMLQuantizationType[name.upper()]).astype("<f4").tobytes()
    rows = values()
    files["values.f32"] = rows.tobytes()
    for name in QUANTIZED:
        files[f"values.{name}"] = quants.quantize(rows, GGMLQuantizationType[name.upper()]).tobytes()
    return files


def main() -> int:
    """Writes or checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="compare with what is there instead of writing")
    args = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # infinities times zero are meant
    wrong = []
    for name, content in make().items():
        path = args.folder / name
        if not args.check:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            wrong.append(name)
    print("different: " + ", ".join(wrong) if wrong else "all equal" if args.check else "written")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
