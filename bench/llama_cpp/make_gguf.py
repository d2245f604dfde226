"""Writes a GGUF file of random weights with a published model's geometry, tensor by tensor.

    python make_gguf.py OUT.gguf --geometry olmoe-1b-7b --format q4_k_m [--layers N] [--router zipf:1] [--seed N]

Its vocabulary has the right size: byte-level BPE's 256 characters, one merge, and else tokens that are names of their
own numbers. Prompts for it are token ids."""

import argparse
import sys
import time
import zlib
from pathlib import Path

import gguf
import numpy as np

import blocks
import geometry as shapes
import router

CHUNK_BYTES = 64 << 20


def byte_characters() -> list:
    """The printable stand-ins of GPT-2's byte-level BPE, by byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (chr(256 + i) for i in range(256 - len(plain)))
    return [chr(byte) if byte in plain else next(others) for byte in range(256)]


def add_tokenizer(writer: gguf.GGUFWriter, geometry: shapes.Geometry) -> None:
    tokens = [*byte_characters(), "\u0120\u0120"]
    tokens += [f"<token{i}>" for i in range(len(tokens), geometry.vocab)]
    kinds = [gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.USER_DEFINED] * (geometry.vocab - 257)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(geometry.pre_tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["\u0120 \u0120"])
    writer.add_bos_token_id(geometry.vocab - 1)
    writer.add_eos_token_id(geometry.vocab - 1)
    writer.add_add_bos_token(False)


def add_model(writer: gguf.GGUFWriter, geometry: shapes.Geometry, mix: str) -> None:
    writer.add_name(f"random weights, {geometry.name}, {geometry.layers} layers, {mix}")
    writer.add_file_type(shapes.FORMATS[mix][0])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(geometry.layers)
    writer.add_context_length(geometry.context)
    writer.add_embedding_length(geometry.hidden)
    writer.add_feed_forward_length(geometry.inner)
    writer.add_head_count(geometry.heads)
    writer.add_head_count_kv(geometry.kv_heads)
    writer.add_layer_norm_rms_eps(geometry.epsilon)
    writer.add_rope_freq_base(geometry.rope_base)
    writer.add_expert_count(geometry.experts)
    writer.add_expert_used_count(geometry.experts_used)
    if geometry.inner != geometry.expert_inner:
        writer.add_expert_feed_forward_length(geometry.expert_inner)
    if geometry.heads * geometry.head_dim != geometry.hidden:
        writer.add_key_length(geometry.head_dim)
        writer.add_value_length(geometry.head_dim)


def write_tensor(file, tensor: shapes.Tensor, seed: int, found: np.ndarray | None) -> None:
    """Seeded by the tensor's own name, so that a cut model has the first layers of the whole one. `found`: of a skewed
    router (router.offsets)."""
    rng = np.random.Generator(np.random.SFC64([seed, zlib.crc32(tensor.name.encode())]))
    if found is not None and tensor.name.endswith("ffn_gate_inp.weight"):
        router.rows(tensor.columns, found, rng).astype("<f4").tofile(file)
        return
    step = max(1, CHUNK_BYTES // blocks.row_bytes(tensor.kind, tensor.columns))
    for begin in range(0, tensor.rows, step):
        rows = min(step, tensor.rows - begin)
        values = blocks.random_rows(tensor.kind, rows, tensor.columns, tensor.deviation, rng)
        if tensor.mean:
            values.view("<f4")[:] += np.float32(tensor.mean)
        if found is not None and tensor.name == "token_embd.weight":
            router.share_direction(tensor.kind, values)
        values.tofile(file)


def write(path: Path, geometry: shapes.Geometry, mix: str, seed: int = 1, alpha: float = 0.0) -> int:
    """Returns the bytes written."""
    writer = gguf.GGUFWriter(path, geometry.arch)
    add_model(writer, geometry, mix)
    add_tokenizer(writer, geometry)
    found = router.offsets(geometry.experts, geometry.experts_used, alpha) if alpha else None
    listed = shapes.tensors(geometry, mix, router.RESIDUAL_SCALE if alpha else 1.0)
    for tensor in listed:
        kind = gguf.GGMLQuantizationType[tensor.kind]
        size = tensor.rows * blocks.row_bytes(tensor.kind, tensor.columns)
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file = writer.fout[0]
    for tensor in listed:
        writer.write_padding(file, file.tell())
        write_tensor(file, tensor, seed, found)
    writer.write_padding(file, file.tell())
    size = file.tell()
    writer.close()
    return size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path, metavar="OUT.gguf")
    parser.add_argument("--geometry", choices=shapes.GEOMETRIES, required=True)
    parser.add_argument("--format", choices=shapes.FORMATS, required=True)
    parser.add_argument("--layers", type=int, default=0, help="only so many; 0: all")
    parser.add_argument("--router", type=router.parse, default=0.0, help="uniform (default) or zipf:ALPHA")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begin = time.monotonic()
    size = write(options.out, shapes.cut(shapes.GEOMETRIES[options.geometry], options.layers), options.format,
                 options.seed, options.router)
    seconds = time.monotonic() - begin
    print(f"{options.out}: {size / 1e9:.2f} GB in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
