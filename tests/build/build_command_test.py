"""`sluice build` as its users run it, and its directories under the other commands.

usage: build_command_test.py SLUICE MODEL DIRECTORY [unittest arguments]
"""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

SLUICE, MODEL, DIRECTORY = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
PROMPT = "What is 17 + 25?"


def sluice(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, env=os.environ | {"XDG_CACHE_HOME": str(DIRECTORY)})


class BuildCommand(unittest.TestCase):
    def setUp(self):
        self.directory = DIRECTORY / self.id().rsplit(".", 1)[1]
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.out = self.directory / "out"

    def build(self, *arguments) -> dict:
        done = sluice("build", MODEL, self.out, "--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_what_is_built_runs_and_is_described(self):
        report = self.build("--quant", "q8")
        self.assertEqual(report["bytes_written"] + report["bytes_found"], report["bytes_written"])
        self.assertEqual(report["bytes"], sum(p.stat().st_size for p in self.out.glob("weights-*.bin")))
        expected = sluice("run", MODEL, PROMPT, "--quant", "q8")
        got = sluice("run", self.out, PROMPT)
        self.assertEqual((got.returncode, got.stdout), (0, expected.stdout), got.stderr)
        self.assertIn("42", got.stdout)

        inspected = json.loads(sluice("inspect", self.out, "--json").stdout)
        self.assertEqual(inspected["engine"]["quantization"], "q8")
        self.assertEqual(inspected["engine"]["source"], pathlib.Path(MODEL).name)
        self.assertEqual(inspected["engine"]["pages"], report["pages"])
        self.assertTrue(inspected["has_tokenizer"] and inspected["has_chat_template"])
        self.assertEqual(set(inspected["stored_bytes_by_kind"]["experts"]), {"q8_0"})
        self.assertNotIn("verified", inspected)
        text = sluice("inspect", self.out).stdout
        self.assertIn("--quant q8", text)

    def test_a_batch_answers_the_same(self):
        self.build()
        lines = self.directory / "in.jsonl"
        lines.write_text("".join(json.dumps({"prompt": f"{i} + {3 * i} ="}) + "\n" for i in range(20)))
        answers = []
        for model in (MODEL, self.out):
            output = self.directory / f"{pathlib.Path(model).name}.jsonl"
            done = sluice("batch", model, "-i", lines, "-o", output, "--no-probe", "--served-model-name", "m",
                          "--kv-cache-memory", "64M")
            self.assertEqual(done.returncode, 0, done.stderr)
            answers.append([json.loads(line) for line in output.read_text().splitlines()])
            for answer in answers[-1]:
                answer["response"]["body"].pop("created", None)
                answer["response"]["body"]["usage"].pop("prompt_tokens_details", None)
        self.assertEqual(len(answers[0]), 20)
        self.assertEqual(*[sorted(a, key=lambda answer: answer["custom_id"]) for a in answers])

    def test_verify_finds_a_flipped_bit(self):
        self.build("--quant", "q4")
        done = sluice("inspect", self.out, "--verify", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        verified = json.loads(done.stdout)["verified"]
        self.assertGreaterEqual(verified["groups"], 75)
        self.assertEqual(verified["damaged"], 0)

        manifest = json.loads((self.out / "engine.json").read_text())
        experts = manifest["experts"][1]
        run = experts["runs"][0]
        with open(self.out / manifest["files"][run["file"]]["name"], "r+b") as file:
            file.seek(run["offset"] + 3 * experts["page_bytes"] + 5)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 16]))
        done = sluice("inspect", self.out, "--verify")
        self.assertEqual(done.returncode, 1)
        self.assertIn("expert 3 of layer 1", done.stderr)
        self.assertIn("1 damaged", done.stdout)
        done = sluice("run", self.out, PROMPT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("expert 3 of layer 1", done.stderr)

    def test_refusals_name_what_to_do(self):
        self.build("--quant", "q8")
        for arguments, said in (
            (("build", MODEL, self.out, "--quant", "q8"), "never written again"),
            (("build", self.out, self.directory / "again"), "engine directory already"),
            (("build", MODEL, self.directory / "no" / "where"), "cannot be"),
            (("run", self.out, PROMPT, "--quant", "q4"), "packed with --quant q8"),
            (("inspect", MODEL, "--verify"), "has no checksums"),
        ):
            done = sluice(*arguments)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(said, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        unknown = sluice("build", MODEL, self.directory / "x", "--quant", "q3")
        self.assertEqual(unknown.returncode, 2, unknown.stderr)
        self.assertIn("'q3'", unknown.stderr)
        self.assertEqual(unknown.stderr.count("\n"), 1, unknown.stderr)
        self.assertEqual(sorted(p.name for p in self.directory.iterdir()), ["out"])

    def test_a_disk_that_becomes_full_is_told_and_with_room_the_build_goes_on(self):
        def small_disk():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        full = subprocess.run([SLUICE, "build", MODEL, self.out], capture_output=True, text=True, timeout=120,
                              preexec_fn=small_disk)
        self.assertEqual(full.returncode, 5, full.stderr)
        self.assertIn("weights-00000.bin", full.stderr)
        self.assertIn("the same command goes on", full.stderr)
        self.assertFalse(self.out.exists())
        self.assertTrue(self.build()["finished"])

    def test_an_interrupted_build_goes_on(self):
        for _ in range(200):
            process = subprocess.Popen([SLUICE, "build", MODEL, str(self.out), "--threads", "1"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            journal = self.directory / "out.partial" / "build.journal"
            while process.poll() is None and not journal.exists():
                time.sleep(0.0005)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
            if process.returncode == 4:
                break
            # Done before the signal came: once more.
            self.assertEqual(process.returncode, 0, err)
            shutil.rmtree(self.out)
        self.assertEqual(process.returncode, 4)
        self.assertIn("the same command goes on", err)
        self.assertFalse(self.out.exists())
        done = sluice("build", MODEL, self.out, "--quant", "q8")
        self.assertEqual(done.returncode, 1)
        self.assertIn("another --quant", done.stderr)
        self.assertEqual(self.build()["finished"], True)
        self.assertFalse((self.directory / "out.partial").exists())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
