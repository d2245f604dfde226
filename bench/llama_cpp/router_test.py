"""Skewed routers choose as Zipf's law says, through norms and a token's noise.

Runs in the venv of bench/llama_cpp/run: build/llama_cpp/venv/bin/python bench/llama_cpp/router_test.py"""

import unittest

import gguf
import numpy as np

import blocks
import router

EXPERTS, TOP_K, HIDDEN, TOKENS = 64, 8, 1024, 4000


class Router(unittest.TestCase):
    def test_experts_are_chosen_as_often_as_wanted(self):
        wanted = router.inclusion(EXPERTS, TOP_K, 1.0)
        self.assertAlmostEqual(wanted.sum(), TOP_K)
        self.assertAlmostEqual(wanted[-2] / wanted[-1], EXPERTS / (EXPERTS - 1))
        rng = np.random.Generator(np.random.SFC64(2))
        weights = router.rows(HIDDEN, router.offsets(EXPERTS, TOP_K, 1.0), rng)
        states = rng.standard_normal((TOKENS, HIDDEN), dtype=np.float32)
        states[:, :router.COMMON] = router.COMMON_VALUE
        states /= np.sqrt(np.square(states).mean(axis=1, keepdims=True))
        chosen = np.argpartition(-(states @ weights.T), TOP_K, axis=1)[:, :TOP_K]
        reached = np.sort(np.bincount(chosen.ravel(), minlength=EXPERTS))[::-1] / TOKENS
        self.assertTrue(np.abs(reached - wanted).max() < 0.03, reached)

    def test_the_embedding_has_the_direction_in_every_row(self):
        for kind in ("Q8_0", "BF16"):
            rows = blocks.random_rows(kind, 10, 256, 1.0, np.random.Generator(np.random.SFC64(3)))
            router.share_direction(kind, rows)
            values = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[kind])
            self.assertTrue((values[:, :router.COMMON] == router.COMMON_VALUE).all(), kind)
            self.assertTrue((values[:, router.COMMON:] != router.COMMON_VALUE).any(), kind)
        with self.assertRaises(ValueError):
            router.share_direction("Q4_K", rows)

    def test_its_name_is_checked(self):
        self.assertEqual(router.parse("uniform"), 0)
        self.assertEqual(router.parse("zipf:1.5"), 1.5)
        for text in ("zipf", "zipf:", "zipf:0", "zipf:9", "even"):
            with self.assertRaises(ValueError):
                router.parse(text)


if __name__ == "__main__":
    unittest.main()
