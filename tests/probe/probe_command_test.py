"""`sluice probe` as its users run it: the processor, then the disk, kept from one run to the next.

usage: probe_command_test.py SLUICE DIRECTORY [unittest arguments]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

SLUICE, DIRECTORY = sys.argv[1], pathlib.Path(sys.argv[2])


def probe(*arguments):
    environment = dict(os.environ, XDG_CACHE_HOME=str(DIRECTORY))
    return subprocess.run([SLUICE, "probe", *arguments], env=environment, capture_output=True,
                          text=True, timeout=120)


def levels(*arguments):
    done = probe("--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {level["name"]: level for level in json.loads(done.stdout)["levels"]}


class ProbeCommand(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(parents=True)

    def test_a_disk_is_measured_where_asked_and_kept(self):
        self.assertEqual(set(levels()), {"host"})
        disk = levels("--disk")["disk"]
        self.assertEqual(disk["disk_reads"]["directory"], str(DIRECTORY.resolve() / "sluice"))
        self.assertGreater(len(disk["disk_reads"]["rates"]), 0)
        self.assertGreater(disk["read_bytes_per_second"], 1e6)
        self.assertEqual([path.name for path in (DIRECTORY / "sluice").iterdir()], ["hardware.json"])
        self.assertEqual(levels()["disk"], disk)
        self.assertEqual(levels("--again")["disk"], disk)
        shown = probe()
        self.assertIn("under way", shown.stdout)
        self.assertIn(disk["disk_reads"]["directory"], shown.stdout)

    def test_the_links_of_an_emulated_device_are_as_its_file_states(self):
        compute = {"model": "none", "isa": "none", "threads": 1, "peak_flops": {"f32": 1e9}}
        level = {"capacity_bytes": 1 << 30, "read_bytes_per_second": 1e9, "compute": compute}
        stated = [{"from": "host", "to": "device", "bytes_per_second": 30e6, "latency_us": 2000.0},
                  {"from": "device", "to": "host", "bytes_per_second": 20e6, "latency_us": 3000.0}]
        machine = {"hardware_version": 2, "name": "here", "source": "stated", "links": stated,
                   "levels": [{"name": "host", "kind": "host", **level},
                              {"name": "device", "kind": "device", **level}]}
        file = DIRECTORY / "machine.json"
        file.write_text(json.dumps(machine))
        done = probe("--json", "--device", f"emulated:{file}")
        self.assertEqual(done.returncode, 0, done.stderr)
        for found, link in zip(json.loads(done.stdout)["links"], stated):
            for field in ("bytes_per_second", "latency_us"):
                self.assertAlmostEqual(found[field] / link[field], 1, delta=0.15)
                self.assertEqual(found["sources"][field], "measured")
            self.assertAlmostEqual(found["together_bytes_per_second"] / link["bytes_per_second"], 1,
                                   delta=0.15)
        self.assertIn("that the file states", probe("--device", f"emulated:{file}").stdout)
        self.assertNotEqual(probe("--device", "gpu").returncode, 0)

    def test_no_directory_no_disk(self):
        done = probe("--disk", "/nowhere/at/all")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("'/nowhere/at/all' is not a directory", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 2, done.stderr)  # what it does, and why it cannot


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
