"""Shows what tools/predicted_stages makes of a small trace: phases, lanes, stages, errors."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

from draw_trace_test import trace

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "predicted_stages")
# tid, name, iteration, begin and end in ms, predicted ms
TASKS = [(1, "L00 qkv mb0", 1, 0, 20, 10), (1, "L01 qkv mb0", 1, 20, 40, 10), (1, "L00 expert_group 0-7 mb0", 1, 40, 140, 125),
         (4, "L00 weights disk>host mb0 p3", 1, 0, 10, 8), (1, "L00 expert_group 3 mb1", 2, 140, 150, 5)]
FLOPS = [1e9, 1e9, 8e9, 0, 1e9]


def say(text):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        return subprocess.run([sys.executable, "-B", TOOL, file.name], capture_output=True, text=True)


class PredictedStages(unittest.TestCase):
    def test_phases_lanes_and_stages(self):
        written = trace(TASKS)
        for event, flops in zip((event for event in written["traceEvents"] if event["ph"] == "X"), FLOPS):
            event["args"]["flops"] = flops
        rows = [line.split() for line in say(json.dumps(written)).stdout.splitlines()]
        self.assertIn(["prompts,", "host", "compute", "3", "140.0", "145.0", "+4", "%"], rows)
        self.assertIn(["qkv", "2", "40.0", "20.0", "-50", "%"], rows)
        self.assertIn(["expert_group", "1", "100.0", "125.0", "+25", "%"], rows)
        self.assertIn(["weights", "1", "10.0", "8.0", "-20", "%"], rows)
        self.assertIn(["decoding,", "host", "compute", "1", "10.0", "5.0", "-50", "%"], rows)

    def test_what_is_no_trace_is_said_to_be_none(self):
        for text in ("no JSON", "{}", '{"traceEvents": [{"ph": "X", "args": {"iteration": 1}}]}'):
            told = say(text)
            self.assertEqual(told.returncode, 1)
            self.assertIn("is no trace of sluice", told.stderr)
            self.assertNotIn("Traceback", told.stderr)


if __name__ == "__main__":
    unittest.main()
