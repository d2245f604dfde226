"""What a plan says of memory, beside what the engine reserves when it runs that plan: never less, at most a tenth more.

usage: plan_memory_test.py SLUICE MODEL DIRECTORY [unittest arguments]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

SLUICE, MODEL, DIRECTORY = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
MOST_ABOVE = 1.1


def run(*arguments):
    environment = dict(os.environ, XDG_CACHE_HOME=str(DIRECTORY / "cache"))
    done = subprocess.run([SLUICE, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=240)
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: {done.stderr}")
    return json.loads(done.stdout)


class PlanMemory(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(parents=True)
        self.input = DIRECTORY / "in.jsonl"
        self.input.write_text("".join(json.dumps({"prompt": "What is 17 + 25? " * (1 + i % 5), "max_tokens": 3}) + "\n"
                                      for i in range(24)))

    def machine(self, device):
        def level(kind, times):
            return {"name": kind, "kind": kind, "capacity_bytes": 4 << 30, "read_bytes_per_second": times * 1e13,
                    "compute": {"model": kind, "isa": "emulated", "threads": 1, "peak_flops": {"f32": times * 1e14}}}

        levels = [level("host", 1)] + ([level("device", 4)] if device else [])
        levels.append({"name": "disk", "kind": "disk", "capacity_bytes": 1 << 40, "read_bytes_per_second": 1e9})
        links = [{"from": a, "to": b, "bytes_per_second": 1e12, "latency_us": 1.0}
                 for a, b in (("host", "device"), ("device", "host"))]
        path = DIRECTORY / "machine.json"
        path.write_text(json.dumps({"hardware_version": 2, "name": "made up", "source": "stated", "levels": levels,
                                    "links": links if device else []}))
        return path

    def check(self, device, *flags, device_memory=None):
        machine = self.machine(device)
        memory = ["--device-memory", device_memory] if device_memory else []
        file = DIRECTORY / "plan.json"
        plan = run("plan", MODEL, "-i", self.input, "--runnable", "--hardware", machine, "-o", file, "--json", *flags, *memory)
        (DIRECTORY / "out.jsonl").unlink(missing_ok=True)
        (DIRECTORY / "out.jsonl.journal").unlink(missing_ok=True)
        there = ["--device", f"emulated:{machine}", *memory] if device else []
        ran = run("batch", MODEL, "-i", self.input, "-o", DIRECTORY / "out.jsonl", "--plan", file, "--json", "--no-probe", *there)
        said, engine = plan["reserved"], ran["plan"]
        for level, reserved in (("host", engine["weight_bytes"] + engine["kv_bytes"] + engine["activation_bytes"]),
                                ("device", engine["device_bytes"])):
            predicted = sum(said[f"{level}_{part}_bytes"] for part in ("weight", "kv", "activation"))
            self.assertGreaterEqual(predicted, reserved, (level, flags, said, engine))
            self.assertLessEqual(predicted, MOST_ABOVE * reserved, (level, flags, said, engine))
        return engine

    def test_in_memory(self):
        for flags in ([], ["--max-batch-size", 1], ["--max-batch-size", 16, "--micro-batch-size", 4],
                      ["--kv-dtype", "q8", "--max-num-tokens", 64]):
            self.assertEqual(self.check(False, "--schedule", "resident", *flags)["schedule"], "resident")

    def test_experts_on_disk(self):
        for share in (0.3, 0.7):
            for batch in (4, 16):
                engine = self.check(False, "--schedule", "layer_stream", "--resident-weights", share, "--max-batch-size", batch)
                self.assertGreater(engine["expert_slots"], 0)

    def test_the_cache_on_disk(self):
        for schedule, batch, share in (("resident", 16, 0.25), ("resident", 8, 0), ("layer_stream", 16, 0.5)):
            engine = self.check(False, "--schedule", schedule, "--max-batch-size", batch, "--kv-on", "disk", "--resident-kv", share)
            self.assertGreater(engine["kv_disk_bytes"], 0)
            self.assertLessEqual(engine["resident_kv"], share)

    def test_beside_a_device(self):
        for schedule in ("cgopipe", "kv_prefetch", "serial"):
            for memory in ("8M", "4G"):
                for place in ("device", "host", "auto"):
                    self.check(True, "--schedule", schedule, "--experts-on", place, "--max-batch-size", 8, "--max-num-tokens", 64,
                               device_memory=memory)

    def test_the_cache_on_disk_beside_a_device(self):
        for schedule, share in (("cgopipe", 0.25), ("serial", 0)):
            engine = self.check(True, "--schedule", schedule, "--max-batch-size", 8, "--max-num-tokens", 64, "--kv-on", "disk",
                                "--resident-kv", share, device_memory="8M")
            self.assertGreater(engine["kv_disk_bytes"], 0)
            self.assertLessEqual(engine["resident_kv"], share)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
