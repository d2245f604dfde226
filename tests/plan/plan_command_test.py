"""`sluice plan` as its users run it, and `sluice batch --plan`, which runs what it wrote.

usage: plan_command_test.py SLUICE MODEL DIRECTORY [unittest arguments]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

SLUICE, MODEL, DIRECTORY = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


def run(*arguments):
    environment = dict(os.environ, XDG_CACHE_HOME=str(DIRECTORY / "cache"))
    return subprocess.run([SLUICE, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=240)


class PlanCommand(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(parents=True)
        self.input = DIRECTORY / "in.jsonl"
        self.input.write_text("".join(json.dumps({"custom_id": str(i), "prompt": "What is 17 + 25?" * (1 + i % 3),
                                                  "max_tokens": 4}) + "\n" for i in range(12)))
        self.plan = DIRECTORY / "plan.json"

    def planned(self, *arguments):
        done = run("plan", MODEL, "-i", self.input, "--runnable", "-o", self.plan, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(self.plan.read_text()), done.stdout

    def refused(self, *arguments, code=1):
        done = run(*arguments)
        self.assertEqual(done.returncode, code, done.stdout)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_a_plan_is_explained_and_run(self):
        plan, page = self.planned("--host", "xeon-24c", "--max-num-tokens", 256, "--explain")
        for part in ("tokens/s", "What lives where", "bound by", "What if"):
            self.assertIn(part, page)
        _, summary = self.planned("--host", "xeon-24c", "--max-num-tokens", 256)
        for part in ("tokens/s", "What lives where", "Bound by", "--explain"):
            self.assertIn(part, summary)
        self.assertLess(len(summary), len(page) / 2)
        self.assertEqual(sum(lengths["requests"] for lengths in plan["workload"]["lengths"]), 12)
        plan["plan"]["threads"] = 1  # whatever this machine has
        self.plan.write_text(json.dumps(plan))
        done = run("batch", MODEL, "-i", self.input, "-o", DIRECTORY / "out.jsonl", "--plan", self.plan, "--json", "--no-probe")
        self.assertEqual(done.returncode, 0, done.stderr)
        ran = json.loads(done.stdout)["plan"]
        for field in ("schedule", "batch", "micro_batch", "max_num_tokens", "max_seq_len", "kv_blocks", "kv_dtype", "threads"):
            self.assertEqual(ran[field], plan["plan"][field], field)

    def machine(self, read, flops, link=0, disk=0):
        """A host, and a device that is four times as fast, or a disk."""
        machine = DIRECTORY / "machine.json"

        def level(kind, times):
            return {"name": kind, "kind": kind, "capacity_bytes": 4 << 30, "read_bytes_per_second": times * read,
                    "compute": {"model": kind, "isa": "emulated", "threads": 1, "peak_flops": {"f32": times * flops}}}

        levels, links = [level("host", 1)], []
        if link:
            levels.append(level("device", 4))
            link = {"bytes_per_second": link, "latency_us": 1.0}
            links = [{"from": "host", "to": "device", **link}, {"from": "device", "to": "host", **link}]
        if disk:
            levels.append({"name": "disk", "kind": "disk", "capacity_bytes": 1 << 40, "read_bytes_per_second": disk})
        machine.write_text(json.dumps({
            "hardware_version": 2, "name": "fast", "source": "stated", "levels": levels, "links": links}))
        return machine

    def test_a_plan_that_attends_on_a_device_is_run(self):
        machine = self.machine(read=1e13, flops=1e14, link=1e12)
        plan, _ = self.planned("--hardware", machine, "--schedule", "kv_prefetch")
        self.assertEqual(plan["policy"]["attention_on"], "device")
        done = run("batch", MODEL, "-i", self.input, "-o", DIRECTORY / "out.jsonl", "--plan", self.plan, "--json", "--no-probe",
                   "--device", f"emulated:{machine}")
        self.assertEqual(done.returncode, 0, done.stderr)
        ran = json.loads(done.stdout)["plan"]
        for field in ("schedule", "attention_on", "kv_blocks", "resident_kv_blocks", "kv_window", "expert_slots", "device_bytes"):
            self.assertEqual(ran[field], plan["plan"][field], field)

    def test_a_plan_is_not_mixed_with_flags_nor_run_where_it_cannot_hold(self):
        plan, _ = self.planned("--host", "xeon-24c")
        out = DIRECTORY / "out.jsonl"
        batch = ["batch", MODEL, "-i", self.input, "-o", out, "--no-probe", "--plan", self.plan]
        self.assertIn("--max-batch-size", self.refused(*batch, "--max-batch-size", 3))
        plan["plan"]["threads"] = 4000
        self.plan.write_text(json.dumps(plan))
        self.assertIn("4000 threads", self.refused(*batch))
        plan["plan"].update(threads=1, kv_blocks=1 << 40, kv_bytes=1 << 49)
        self.plan.write_text(json.dumps(plan))
        self.assertIn("cannot hold here", self.refused(*batch))
        plan["runs"] = False
        plan["why_not"] = "it is a test"
        self.plan.write_text(json.dumps(plan))
        self.assertIn("it is a test", self.refused(*batch))

    def test_machines_and_models_that_are_not_here(self):
        plot = DIRECTORY / "roofline.svg"
        done = run("plan", "mixtral-8x7b", "--device", "l4", "--host-memory", "192G", "--workload", "mtbench", "--json", "--plot", plot)
        self.assertEqual(done.returncode, 0, done.stderr)
        policy = json.loads(done.stdout)["policy"]
        self.assertEqual((policy["attention_on"], policy["experts_on"]), ("host", "device"))
        self.assertTrue(xml.etree.ElementTree.parse(plot).getroot().tag.endswith("svg"))
        told = run("plan", "mixtral-8x7b", "--device", "l4", "--host-memory", "192G", "--workload", "mtbench").stdout
        self.assertRegex(told, r"experts on the device \(F_g = 1.00\)")
        self.assertRegex(told, r"an iteration so: .*experts on the host: .* bound by host compute; where each is sooner: ")
        missing = self.refused("plan", "deepseek-v3", "--device", "t4", "--host-memory", "64G")
        self.assertIn("smallest change", missing)

    def test_a_cache_on_disk_is_chosen_where_it_is_faster(self):
        flags = ["plan", "qwen3-235b-a22b", "--host", "xeon-24c", "--host-memory", "32G", "--disk", "nvme-gen4", "--quant", "q4",
                 "--prompt-tokens", 800, "--generate-tokens", 100, "--requests", 4000]
        told = run(*flags, "--kv-on", "disk", "--runnable", "-o", self.plan)
        self.assertEqual(told.returncode, 0, told.stderr)
        plan = json.loads(self.plan.read_text())
        self.assertLess(plan["policy"]["resident_kv"], 1)
        self.assertEqual(plan["reserved"]["disk_kv_bytes"], plan["plan"]["kv_disk_bytes"])
        self.assertEqual(plan["reserved"]["host_kv_bytes"], plan["plan"]["kv_bytes"])
        self.assertTrue(plan["runs"])
        self.assertRegex(told.stdout, r"in host memory stay [0-9]+ % of the cache")
        self.assertIn("sluice probe --disk", self.refused("plan", "qwen3-235b-a22b", "--host", "xeon-24c", "--host-memory", "256G",
                                                          "--kv-on", "disk"))
        without = json.loads(run(*flags, "--json").stdout)
        self.assertEqual(without["policy"]["resident_kv"], 1)
        self.assertGreater(max(g["times"] for g in without["what_ifs"] if "--kv-on disk" in g["what"]), 1)
        self.assertGreater(plan["predicted"]["tokens_per_second"], 1.3 * without["predicted"]["tokens_per_second"])
        beside = json.loads(run("plan", "mixtral-8x7b", "--device", "t4", "--host", "xeon-24c", "--host-memory", "96G", "--disk",
                                "nvme-gen4", "--workload", "mtbench", "--kv-on", "disk", "--runnable", "--json").stdout)
        self.assertLess(beside["policy"]["resident_kv"], 1)
        self.assertEqual(beside["policy"]["attention_on"], "host")
        self.assertTrue(beside["runs"])
        self.assertEqual(beside["reserved"]["host_kv_bytes"], beside["plan"]["kv_bytes"])

    def test_a_plan_with_a_cache_on_disk_is_run(self):
        machine = self.machine(read=1e10, flops=1e11, disk=4e9)
        flags = ["--hardware", machine, "--host-memory", "30M", "--kv-on", "disk", "--prompt-tokens", 700, "--generate-tokens", 200,
                 "--requests", 400]
        told = run("plan", MODEL, *flags, "-o", self.plan)
        self.assertEqual(told.returncode, 0, told.stderr)
        plan = json.loads(self.plan.read_text())
        self.assertLess(plan["policy"]["resident_kv"], 1)
        done = run("batch", MODEL, "-i", self.input, "-o", DIRECTORY / "out.jsonl", "--plan", self.plan, "--json", "--no-probe",
                   "--kv-directory", DIRECTORY)
        self.assertEqual(done.returncode, 0, done.stderr)
        ran = json.loads(done.stdout)["plan"]
        for field in ("schedule", "kv_blocks", "resident_kv_blocks", "kv_window", "kv_tails", "kv_bytes", "kv_disk_bytes"):
            self.assertEqual(ran[field], plan["plan"][field], field)
        self.assertIn("--kv-on", self.refused("batch", MODEL, "-i", self.input, "-o", DIRECTORY / "out.jsonl", "--plan", self.plan,
                                                "--kv-on", "host"))

    def test_where_experts_are_computed_is_said_passed_on_and_may_be_asked_for(self):
        machine = self.machine(read=2e9, flops=2e11, link=4e8)
        flags = ["--hardware", machine, "--schedule", "cgopipe", "--device-memory", "12M", "--max-batch-size", 12]
        plan, page = self.planned(*flags)
        self.assertEqual(plan["policy"]["experts_on"], "auto")
        self.assertRegex(page, r"experts where each is sooner \(F_g = 0\.[0-9]+\)")
        for place in ("host", "device", "auto"):
            asked, _ = self.planned(*flags, "--experts-on", place)
            self.assertEqual((asked["policy"]["experts_on"], asked["plan"]["experts_on"]), (place, place))
            if place != "auto":
                self.assertLess(asked["predicted"]["tokens_per_second"], plan["predicted"]["tokens_per_second"], place)
            done = run("batch", MODEL, "-i", self.input, "-o", DIRECTORY / f"{place}.jsonl", "--plan", self.plan, "--json",
                       "--no-probe", "--device", f"emulated:{machine}", "--device-memory", "12M")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["plan"]["experts_on"], place)
        self.assertIn("--device", self.refused("plan", MODEL, "--host", "xeon-24c", "--experts-on", "host"))
        self.assertIn("'here'", self.refused("plan", MODEL, *flags, "--experts-on", "here", code=2))

    def test_two_plans_differ_where_they_differ(self):
        self.planned("--host", "xeon-24c")
        other = DIRECTORY / "other.json"
        done = run("plan", MODEL, "-i", self.input, "--host", "epyc-9654", "-o", other)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("plan", "--diff", other, other).stdout, "")
        self.assertRegex(run("plan", "--diff", self.plan, other).stdout, r"hardware +xeon-24c -> epyc-9654")

    def test_what_is_wrong_is_named(self):
        for arguments, word in (
                (["gpt-9"], "deepseek-v3"), ([MODEL, "--device", "rtx-9090"], "rtx-5090"),
                ([MODEL, "--host", "xeon-24c", "--prompt-tokens", "many"], "--prompt-tokens"),
                ([MODEL, "--host", "xeon-24c", "--prompt-tokens", "100000"], "shorter lengths"),
                ([MODEL, "--host", "xeon-24c", "--router", "zipf"], "zipf:S"),
                ([MODEL, "--host", "xeon-24c", "--devices", "2"], "--device"),
                ([MODEL, "--host", "xeon-24c", "-i", self.input, "--requests", "3"], "leave out"),
                ([MODEL, "--host", "xeon-24c", "--hardware", "h.json"], "--hardware")):
            self.assertIn(word, self.refused("plan", *arguments))
        for flag, value, word in (("--quant", "q3", "q4"), ("--objective", "joy", "energy"),
                                  ("--schedule", "magic", "cgopipe")):
            self.assertIn(word, self.refused("plan", MODEL, "--host", "xeon-24c", flag, value, code=2))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
