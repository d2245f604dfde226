"""python -m unittest tasks_test: the answers are right, and the splits keep apart."""

import json
import random
import re
import unittest

import notation
import tasks


class TasksTest(unittest.TestCase):
    def test_operands_belong_to_one_split(self):
        for name in tasks.TASKS:
            rng, keys = random.Random(1), {}
            for split in ("train", "validation", "test"):
                keys[split] = {tasks.sample(name, split, rng, easier_share=0.3).key for _ in range(300)}
            self.assertFalse(keys["train"] & keys["test"], name)
            self.assertFalse(keys["train"] & keys["validation"], name)
            self.assertFalse(keys["validation"] & keys["test"], name)

    def test_order_does_not_make_new_operands(self):
        rng = random.Random(2)
        for name in ("addition", "comparison"):
            for _ in range(200):
                example = tasks.TASKS[name](rng)
                a, b = sorted(map(int, re.findall(r"\d+", example.prompt)))
                self.assertEqual(example.key, f"{a},{b}")

    def test_answers(self):
        rng = random.Random(3)
        for _ in range(200):
            example = tasks.TASKS["addition"](rng)
            self.assertEqual(sum(map(int, re.findall(r"\d+", example.prompt))), int(example.answer))
            example = tasks.TASKS["boolean_logic"](rng)
            expression = example.key.replace("true", "True").replace("false", "False")
            self.assertEqual(str(eval(expression)).lower(), example.answer)
            example = tasks.TASKS["json_extraction"](rng)
            self.assertEqual(list(json.loads(example.answer)), example.schema["schema"]["required"])
        self.assertEqual(notation.roman(949), "CMXLIX")
        self.assertEqual(notation.spell(347), "three hundred forty-seven")
        self.assertEqual(notation.spell(900), "nine hundred")


if __name__ == "__main__":
    unittest.main()
