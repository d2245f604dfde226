"""`sluice batch` as its users run it: interrupted, twice at once, from a pipe, onto a full disk.

usage: batch_command_test.py SLUICE MODEL DIRECTORY [unittest arguments]
"""

import json
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

import sluice_batch

SLUICE, MODEL, DIRECTORY = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


class BatchCommand(unittest.TestCase):
    def setUp(self):
        directory = DIRECTORY / self.id().rsplit(".", 1)[1]
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.batch = sluice_batch.Batch(SLUICE, MODEL, directory, "batch")
        self.text = sluice_batch.requests(60)
        self.batch.input.write_text(self.text)
        self.lines = self.text.count("\n")

    def wait_for_answers(self, process, count=1):
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            if self.batch.output.exists() and self.batch.output.read_bytes().count(b"\n") >= count:
                return
            time.sleep(0.002)

    def test_report_and_exit_status(self):
        code, report, err = self.batch.run()
        self.assertEqual(code, 3, err)
        answers = self.batch.answers()
        failed = sum(answer["error"] is not None for answer in answers.values())
        self.assertEqual(len(answers), self.lines)
        self.assertEqual(report["requests"]["total"], self.lines)
        self.assertEqual(report["requests"]["error_lines"], failed)
        self.assertEqual(report["requests"]["answered"], self.lines - failed)
        self.assertGreater(report["tokens"]["generated"], 0)
        self.assertTrue(report["complete"])
        generated = sum(a["response"]["body"]["usage"]["completion_tokens"]
                        for a in answers.values() if a["error"] is None)
        self.assertEqual(report["tokens"]["generated"], generated)
        # Again: there is nothing left to do, and the error lines still show in the status.
        before = self.batch.output.read_bytes()
        code, report, err = self.batch.run()
        self.assertEqual(code, 3, err)
        self.assertEqual(report["requests"]["answered_before"], self.lines)
        self.assertEqual(self.batch.output.read_bytes(), before)

    def test_good_lines_exit_with_0(self):
        self.batch.input.write_text('{"prompt": "1 + 1 =", "temperature": 0}\n')
        code, _, err = self.batch.run()
        self.assertEqual(code, 0, err)

    def test_interrupted_once_finishes_what_runs(self):
        process = self.batch.start()
        self.wait_for_answers(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 4, err)
        self.assertIn("same command goes on", err)
        self.assertFalse(json.loads(out)["complete"])
        some = self.batch.answers()
        self.assertTrue(0 < len(some) < self.lines)
        code, report, err = self.batch.run()
        self.assertEqual(code, 3, err)
        self.assertEqual(report["requests"]["answered_before"], len(some))
        self.assertEqual(len(self.batch.answers()), self.lines)

    def test_two_runs_on_one_output_are_refused(self):
        process = self.batch.start()
        self.wait_for_answers(process)
        process.send_signal(signal.SIGSTOP)
        code, _, err = self.batch.run()
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=300)
        self.assertEqual(code, 1)
        self.assertIn(f"process {process.pid}", err)
        self.assertEqual(len(self.batch.answers()), self.lines)

    def test_standard_input_is_resumed_by_the_same_input(self):
        with open(self.batch.input) as standard_input:
            process = self.batch.start("-", stdin=standard_input)
        self.wait_for_answers(process)
        process.kill()
        process.communicate()
        some = self.batch.output.read_bytes().count(b"\n")
        code, report, err = self.batch.run("-", stdin=self.text)
        self.assertEqual(code, 3, err)
        self.assertEqual(report["requests"]["answered_before"], some)
        self.assertEqual(len(self.batch.answers()), self.lines)
        code, _, err = self.batch.run("-", stdin=self.text + '{"prompt": "more"}\n')
        self.assertEqual(code, 1)
        self.assertIn("another input", err)
        code, _, err = self.batch.run("-", ["--force"], stdin=self.text + '{"prompt": "more"}\n')
        self.assertEqual(code, 3, err)
        self.assertEqual(len(self.batch.answers()), self.lines + 1)

    def test_a_full_disk_stops_and_goes_on(self):
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY))

        code, _, err = self.batch.run(preexec_fn=small_files)
        self.assertEqual(code, 5, err)
        self.assertIn("the same command goes on", err)
        some = self.batch.answers()
        self.assertTrue(0 < len(some) < self.lines)
        code, _, err = self.batch.run()
        self.assertEqual(code, 3, err)
        self.assertEqual(len(self.batch.answers()), self.lines)

    def test_another_sampling_is_refused(self):
        self.batch.input.write_text('{"prompt": "x", "max_tokens": 2}\n')
        code, _, err = self.batch.run()
        self.assertEqual(code, 0, err)
        code, _, err = self.batch.run(None, ["--temperature", "0.5"])
        self.assertEqual(code, 1)
        self.assertIn("temperature", err)

    def test_answers_do_not_depend_on_the_batch(self):
        code, _, err = self.batch.run()
        self.assertEqual(code, 3, err)
        other = sluice_batch.Batch(SLUICE, MODEL, self.batch.directory, "other")
        other.input.write_text(self.text)
        code, _, err = other.run(None, ["--max-num-tokens", "16", "--micro-batch-size", "3",
                                        "--schedule", "serial", "--no-prefix-sharing",
                                        "--sort-window", "5", "--threads", "1"])
        self.assertEqual(code, 3, err)
        self.assertEqual(other.answers(), self.batch.answers())

    def test_a_wrong_command_line_says_where_help_is(self):
        for words, told in ((["bach"], "there is no command 'bach'; there are batch, "), ([], "see 'sluice --help'"),
                            (["run", MODEL, "--max_tokens", "5", "hi"], "see 'sluice run --help'"),
                            (["run", MODEL, "--quant", "q5", "hi"], "'q5' is given; none, bf16, q8, q4 or mxfp4 is"),
                            (["run", MODEL, "--schedule", "magic", "hi"], "'magic' is given; auto, "),
                            (["plan", MODEL, "--objective", "speed"], "throughput, latency or energy is expected")):
            done = subprocess.run([SLUICE, *words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(told, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)

    def test_what_cannot_be_is_said_in_a_sentence(self):
        for extra, words in ((["--trace", "/nonexistent/trace.json"], "/nonexistent/trace.json"),
                             (["--expected", "/nonexistent.jsonl"], "/nonexistent.jsonl"),
                             (["--kv-block-tokens", "24"], "multiple of 16"),
                             (["--host-memory", "1M"], "--host-memory")):
            code, _, err = self.batch.run(None, extra)
            self.assertEqual(code, 1, err)
            self.assertIn(words, err)
            self.assertTrue(err.startswith("sluice: "), err)
            left = {p.name for p in self.batch.directory.iterdir()} - {"sluice"}  # its cache
            self.assertEqual(left, {self.batch.input.name})


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
