#!/usr/bin/env python3
"""Writes src/weights/testdata/package.gguf with the `gguf` package: what the reader must find in a
file that it had no hand in. Needs numpy and gguf (tools/goldens/requirements.txt).

Usage: tools/gguf_fixture.py OUT
"""
import sys

import gguf
import numpy as np

BLOCK_TYPES = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
               "IQ4_NL", "IQ4_XS", "MXFP4")


def main(out):
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_context_length(4096)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_bool("test.flag", True)
    writer.add_array("test.numbers", [3, -1, 2])
    writer.add_token_list(["<unk>", "a", "\u2581b"])
    writer.add_token_scores([0.0, -1.5, 2.0])
    # Element i of every float tensor is i.
    values = np.arange(24, dtype=np.float32)
    writer.add_tensor("f32", values.reshape(4, 6))
    writer.add_tensor("f16", values.reshape(2, 3, 4).astype(np.float16))
    writer.add_tensor("bf16", gguf.quants.quantize(values.reshape(3, 8), gguf.GGMLQuantizationType.BF16),
                      raw_dtype=gguf.GGMLQuantizationType.BF16)
    # Byte i of every block tensor is i, modulo 256; two rows of one block each.
    for name in BLOCK_TYPES:
        kind = gguf.GGMLQuantizationType[name]
        size = gguf.GGML_QUANT_SIZES[kind][1]
        writer.add_tensor(name.lower(), (np.arange(2 * size) % 256).astype(np.uint8).reshape(2, size),
                          raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
