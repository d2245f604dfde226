"""What `sluice batch` and `run` choose by themselves, and when they do not.

usage: auto_plan_test.py SLUICE MODEL DIRECTORY [unittest arguments]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

SLUICE, MODEL, DIRECTORY = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
REQUESTS = 200
MOST_POSITIONS = 1024  # of the demo model


class AutoPlan(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        (DIRECTORY / "cache/sluice").mkdir(parents=True)
        self.input, self.output = DIRECTORY / "in.jsonl", DIRECTORY / "out.jsonl"
        with open(self.input, "w") as lines:
            for i in range(REQUESTS):
                lines.write(json.dumps({"custom_id": str(i), "prompt": f"What is {i} + 25?", "max_tokens": 5, "temperature": 0}) + "\n")

    def run_sluice(self, *arguments):
        environment = dict(os.environ, XDG_CACHE_HOME=str(DIRECTORY / "cache"))
        return subprocess.run([SLUICE, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=240)

    def batch(self, *flags, code=0):
        for path in (self.output, DIRECTORY / "out.jsonl.journal"):
            path.unlink(missing_ok=True)
        done = self.run_sluice("batch", MODEL, "-i", self.input, "-o", self.output, "--json", *flags)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)["plan"], done.stderr

    def answers(self):
        texts = {}
        for line in self.output.read_text().splitlines():
            answer = json.loads(line)
            texts[answer["custom_id"]] = answer["response"]["body"]["choices"][0]["text"]
        return texts

    def measured(self):
        """This machine as `sluice probe` would keep it: on top of a quick measurement, curves by which larger batches pay."""
        self.batch("--max-batch-size", 1)
        kept = DIRECTORY / "cache/sluice/hardware.json"
        machine = json.loads(kept.read_text())
        compute = machine["levels"][0]["compute"]
        compute["kernel_rates"] = [{"format": name, "tokens_per_expert": n, "flops_per_second": 1e9 * n, "bytes_per_second": 1e9}
                                   for name in ("bf16", "f32") for n in (1, 4, 16, 64, 256)]
        kept.write_text(json.dumps(machine))

    def test_without_a_measurement_the_usual_policy_runs_and_a_sentence_says_what_would_help(self):
        plan, said = self.batch()
        self.assertIn("sluice probe", said)
        self.assertEqual(plan["batch"], 64)
        self.assertNotIn("planned", self.batch("--no-probe")[1])

    def test_a_batch_is_planned_for_its_lines_and_answers_the_same(self):
        self.measured()
        usual, said = self.batch("--no-probe")
        expected = self.answers()
        self.assertEqual((usual["batch"], said.count("planned")), (64, 0))
        chosen, said = self.batch()
        self.assertRegex(said, r"planned: schedule resident, batch \d+.*tokens/s predicted, bound by host compute")
        self.assertGreater(chosen["batch"], 64)
        self.assertLessEqual(chosen["batch"], REQUESTS)
        self.assertEqual(self.answers(), expected)

    def test_flags_switch_off_what_they_say(self):
        self.measured()
        self.assertEqual(self.batch("--max-batch-size", 3)[0]["batch"], 3)
        self.assertEqual(self.batch("--max-num-tokens", 700)[0]["max_num_tokens"], 700)
        for by_hand in (["--kv-block-tokens", 16], ["--schedule", "serial"]):
            plan, said = self.batch(*by_hand)
            self.assertEqual((plan["batch"], said), (64, ""), by_hand)

    def test_beside_a_device_it_says_where_experts_are_computed_and_does_so(self):
        machine = DIRECTORY / "machine.json"
        levels = [{"name": kind, "kind": kind, "capacity_bytes": 1 << 30, "read_bytes_per_second": times * 2e9,
                   "compute": {"model": kind, "isa": "emulated", "threads": 1, "peak_flops": {"f32": times * 2e11}}}
                  for kind, times in (("host", 1), ("device", 4))]
        links = [{"from": a, "to": b, "bytes_per_second": 4e8, "latency_us": 1.0} for a, b in (("host", "device"), ("device", "host"))]
        machine.write_text(json.dumps({"hardware_version": 2, "name": "made up", "source": "stated", "levels": levels, "links": links}))
        for memory in ("1G", "12M"):
            plan, said = self.batch("--device", f"emulated:{machine}", "--device-memory", memory)
            words = {"device": "on the device", "host": "on the host", "auto": "where each is sooner"}[plan["experts_on"]]
            self.assertRegex(said, f"planned: schedule {plan['schedule']}, batch {plan['batch']}[ ,].*experts {words}: ")

    def measured_with_a_disk(self):
        self.measured()
        kept = DIRECTORY / "cache/sluice/hardware.json"
        machine = json.loads(kept.read_text())
        machine["levels"].append({"name": "disk", "kind": "disk", "capacity_bytes": 1 << 40, "read_bytes_per_second": 1e12})
        kept.write_text(json.dumps(machine))

    def test_a_planned_cache_is_sized_by_what_the_model_can_answer(self):
        self.measured_with_a_disk()
        # One of the requests is for far more than the model takes; it is refused.
        with open(self.input, "a") as lines:
            lines.write(json.dumps({"custom_id": "long", "prompt": "What?", "max_tokens": 100_000}) + "\n")
        plan, said = self.batch("--host-memory", "86M", "--kv-on", "disk", "--kv-directory", DIRECTORY, code=3)
        self.assertIn("planned: ", said)
        self.assertLessEqual(plan["kv_blocks"] * plan["kv_block_tokens"], 64 * plan["batch"] + 2 * MOST_POSITIONS)

    def test_a_disk_whose_rate_is_not_known_is_not_planned_with(self):
        self.measured()
        _, said = self.batch("--host-memory", "86M", "--kv-on", "disk", "--kv-directory", DIRECTORY)
        self.assertIn("the usual policy runs: --kv-on disk needs a disk whose rate is known", said)

    def test_the_cache_may_lie_on_disk_and_the_answers_are_the_same(self):
        self.measured_with_a_disk()
        usual, _ = self.batch("--no-probe", "--host-memory", "100M")
        expected = self.answers()
        plan, said = self.batch("--host-memory", "100M", "--kv-on", "disk", "--kv-directory", DIRECTORY, "--max-seq-len", 1024)
        self.assertIn("planned: ", said)
        self.assertEqual(self.answers(), expected)
        self.assertEqual("of the KV cache on disk" in said, plan["resident_kv"] < 1)
        by_hand, _ = self.batch("--kv-on", "disk", "--resident-kv", 0, "--kv-directory", DIRECTORY)
        self.assertEqual((by_hand["resident_kv"], self.answers()), (0, expected))

    def test_quiet_is_quiet(self):
        self.measured()
        self.assertEqual(self.batch("--quiet")[1], "")

    def test_one_answer_is_not_told_what_a_measurement_would_help(self):
        done = self.run_sluice("run", MODEL, "What is 17 + 25?", "--max-tokens", 4)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_is_refused_is_one_sentence(self):
        done = self.run_sluice("batch", MODEL, "-i", self.input, "-o", self.output, "--host-memory", "1M")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stderr.count("sluice:"), 1, done.stderr)

    def test_one_answer_from_memory_has_nothing_to_choose(self):
        self.measured()
        done = self.run_sluice("run", MODEL, "What is 17 + 25?", "--max-tokens", 4)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
