"""Random blocks are what they say: of the deviation that was asked for, of mean 0, as the gguf package widens them.

Runs in the venv of bench/llama_cpp/run: build/llama_cpp/venv/bin/python bench/llama_cpp/blocks_test.py"""

import unittest

import gguf
import numpy as np

import blocks
import geometry as shapes
import table

ROWS, COLUMNS, DEVIATION = 512, 1024, 0.02


def widened(kind: str) -> np.ndarray:
    rows = blocks.random_rows(kind, ROWS, COLUMNS, DEVIATION, np.random.Generator(np.random.SFC64(1)))
    stored = {"F32": "<f4", "F16": "<f2"}.get(kind, np.uint8)
    return gguf.quants.dequantize(rows.view(stored), gguf.GGMLQuantizationType[kind])


class Blocks(unittest.TestCase):
    def test_every_type_has_the_deviation_and_no_mean(self):
        for kind in blocks.MAKERS:
            with self.subTest(kind):
                values = widened(kind)
                self.assertEqual(values.shape, (ROWS, COLUMNS))
                # bf16 is made in whole octaves.
                room = 0.42 if kind == "BF16" else 0.02
                self.assertAlmostEqual(values.std() / DEVIATION, 1, delta=room)
                self.assertLess(abs(values.mean()), 0.02 * DEVIATION)
                self.assertTrue(np.isfinite(values).all())

    def test_sizes_are_ggufs(self):
        for kind, (elements, size) in blocks.SIZES.items():
            self.assertEqual(gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]], (elements, size))
            self.assertEqual(table.BITS.get(kind, 8 * size / elements), 8 * size / elements)

    def test_a_row_of_broken_blocks_is_refused(self):
        with self.assertRaises(ValueError):
            blocks.row_bytes("Q4_K", 128)


class Shapes(unittest.TestCase):
    def test_the_mix_is_llama_cpps(self):
        kinds = {t.name: t.kind for t in shapes.tensors(shapes.GEOMETRIES["olmoe-1b-7b"], "q4_k_m")}
        larger = [i for i in range(16) if kinds[f"blk.{i}.ffn_down_exps.weight"] == "Q6_K"]
        self.assertEqual(larger, [0, 1, 4, 7, 10, 13, 14, 15])
        self.assertEqual(kinds["output.weight"], "Q6_K")
        self.assertEqual(kinds["token_embd.weight"], "Q4_K")

    def test_olmoe_has_its_seven_billion_weights_and_one_active(self):
        geometry = shapes.GEOMETRIES["olmoe-1b-7b"]
        total = sum(t.rows * t.columns for t in shapes.tensors(geometry, "bf16"))
        self.assertAlmostEqual(total / 6.92e9, 1, delta=0.01)
        _, decoded, prompt = table.active(geometry, "bf16")
        self.assertAlmostEqual(decoded / 1.18e9, 1, delta=0.02)
        self.assertLess(prompt, decoded)


class Table(unittest.TestCase):
    def test_the_ratio_is_the_median_of_pairs(self):
        records = [{"sluice": {"tg1": a}, "llama.cpp": {"tg1": b}} for a, b in ((10, 5), (30, 10), (8, 8))]
        found = table.summary(records, "tg1")
        self.assertEqual((found["ratio"], found["least"], found["most"]), (2, 1, 3))
        self.assertEqual((found["sluice"], found["llama.cpp"]), (10, 8))
        self.assertAlmostEqual(table.geometric_mean([2, 8]), 4)


if __name__ == "__main__":
    unittest.main()
