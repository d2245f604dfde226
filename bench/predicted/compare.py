"""Predicted beside measured, on this machine. bench/predicted/run starts it.

Without --sweep: time of prompts and of decoding for models, quantizations, batches and memories that no calibration
saw. With it: policies by brute force beside the one that `sluice batch` chooses by itself.
"""

import argparse
import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cases import CASES, SWEEPS, Case, Model

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/emulated"))
from machines import hardware as emulated  # noqa: E402


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path):
        self.sluice, self.make_model = options.bin / "bin/sluice", options.bin / "bin/make_model"
        self.folder, self.cache = folder, options.cache
        self.under = shlex.split(options.under)
        self.models, self.kept = options.models or folder, options.models is not None
        self.here = []  # models that were made, to be removed

    def call(self, *words: object, quiet: bool = False) -> subprocess.CompletedProcess:
        words = [str(word) for word in words]
        environment = dict(os.environ, XDG_CACHE_HOME=str(self.cache))
        done = subprocess.run(self.under + words if quiet else words, capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(f"{' '.join(words)}\n{done.stderr}")
        return done

    def json(self, *words: object, quiet: bool = False) -> dict:
        return json.loads(self.call(*words, quiet=quiet).stdout)

    def probe(self, *words: object) -> dict:
        return self.json(self.sluice, "probe", "--json", *words, quiet=True)

    def disk_rate(self) -> float:
        levels = self.probe("--disk", self.folder)["levels"]
        return next(level["read_bytes_per_second"] for level in levels if level["kind"] == "disk")

    def model(self, model: Model) -> Path:
        """Built once for each quantization, so that loading is no part of a run; one geometry's at a time."""
        raw = self.models / model.raw()
        built = raw if model.quant == "none" else self.models / f"{model.raw()}.{model.quant}"
        if built.exists():
            return built
        if not raw.exists():
            if not self.kept:
                for path in self.here:
                    shutil.rmtree(path)
                self.here = []
            cut = [f"--layers={model.layers}"] if model.layers else []
            cut += [f"--vocab={model.vocab}"] if model.vocab else []
            self.call(self.make_model, raw, "--geometry", model.geometry, *cut)
            self.here.append(raw)
        if built != raw:
            self.call(self.sluice, "build", raw, built, "--quant", model.quant)
            self.here.append(built)
        return built

    def cache_bytes(self, case: "Case") -> int:
        """Of the keys and values of a batch, in whole blocks."""
        block = 64
        tokens = (case.prompt + case.generate + block - 1) // block * block
        return self.json(self.sluice, "inspect", self.model(case.model), "--json")["kv_bytes_per_token"] * tokens * case.batch

    def jobs(self, requests: int, prompt: int, generate: int) -> Path:
        file = self.folder / "in.jsonl"
        with open(file, "w") as lines:
            for i in range(requests):
                ids = [(i * 7919 + k * 104729 + i // 500 * k) % 500 + 3 for k in range(prompt)]
                body = {"model": "m", "prompt": ids, "max_tokens": generate, "ignore_eos": True, "temperature": 0}
                lines.write(json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": body}) + "\n")
        return file

    def device(self, name: str) -> Path:
        machine = self.folder / f"{name}.json"
        machine.write_text(json.dumps(emulated(name)))
        return machine

    def batch(self, model: Model, jobs: Path, device: str, *flags: object) -> tuple[dict, str]:
        out = self.folder / "out.jsonl"
        for file in (out, Path(f"{out}.journal")):
            file.unlink(missing_ok=True)
        on = ["--device", f"emulated:{self.device(device)}", "--threads", 1] if device else []
        done = self.call(self.sluice, "batch", self.model(model), "-i", jobs, "-o", out, "--json", *on, *flags, quiet=True)
        return json.loads(done.stdout), done.stderr


def policy(case: Case) -> list:
    return ["--schedule", case.schedule, "--max-batch-size", case.batch, "--micro-batch-size",
            case.micro_batch or case.batch, "--max-num-tokens", 512]


# What is measured and predicted: answers of one token, of one wave more and of one wave, whose difference is prompts
# alone, without what a run's first iterations cost once (pages that are touched for the first time); and answers of
# more, whose difference is decoding.
def runs(case: Case) -> tuple:
    return (1, 1), (1, case.waves + 1), (case.generate, case.waves + 1)


def phases(seconds: list) -> tuple:
    return seconds[1] - seconds[0], seconds[2] - seconds[1]


def measure(bench: Bench, case: Case, experts_on: str, generate: int, waves: int) -> dict:
    flags = ["--no-probe", "--max-seq-len", case.prompt + case.generate, *policy(case)]
    if case.share < 1:
        flags += ["--resident-weights", case.share]
    if case.kv_share < 1:
        flags += ["--kv-on", "disk", "--resident-kv", case.kv_share]
    # No more cache than a batch fills: what is touched for the first time costs once, in the first wave.
    flags += ["--experts-on", experts_on] if case.device else ["--kv-cache-memory", bench.cache_bytes(case)]
    jobs = bench.jobs(case.batch * waves, case.prompt, generate)
    return bench.batch(case.model, jobs, case.device, *flags)[0]


def predict(bench: Bench, case: Case, generate: int, waves: int, hardware: Path) -> dict:
    words = [bench.sluice, "plan", bench.model(case.model), "--json", "--prompt-tokens", case.prompt,
             "--generate-tokens", generate, "--requests", case.batch * waves, "--resident-weights", case.share,
             "--router", "uniform", *policy(case)]
    if case.kv_share < 1:
        words += ["--kv-on", "disk", "--resident-kv", case.kv_share]
    return bench.json(*words, "--hardware", bench.device(case.device) if case.device else hardware)


def with_disk(hardware: dict, rate: float, folder: Path) -> dict:
    capacity = shutil.disk_usage(folder).total
    disk = {"name": "disk", "kind": "disk", "capacity_bytes": capacity, "read_bytes_per_second": rate}
    return {**hardware, "levels": [level for level in hardware["levels"] if level["kind"] != "disk"] + [disk]}


def guessed_phases(plans: list) -> tuple:
    return phases([plan["predicted"]["seconds"] for plan in plans])


def measured_phases(reports: list) -> tuple:
    return phases([report["seconds"]["computing"] for report in reports])


def drift(done: dict) -> float:
    """How far apart the predictions before and after lie, or the rounds, whichever is more, in either phase."""
    both = [list(map(guessed_phases, done["predicted"])), list(map(measured_phases, done["measured"]))]
    return max(max(times) / min(times) - 1 if min(times) > 0 else math.inf for kind in both for times in zip(*kind))


class Comparison:
    """One case at a time. Rates of memory and disk drift where others use the machine too: both are measured before and
    after each case, and what is predicted is the mean of both predictions. A case whose predictions, or whose rounds, lie
    too far apart met two machines: it is run again, and the steadiest counts, whatever its error."""

    def __init__(self, bench: Bench, options: argparse.Namespace, hardware: dict):
        self.bench, self.options, self.hardware = bench, options, hardware
        self.file = bench.folder / "hardware.json"

    def guess(self, case: Case, disk: list) -> list:
        self.file.write_text(json.dumps(with_disk(self.hardware, disk[-1], self.bench.folder) if disk else self.hardware))
        return [predict(self.bench, case, *run, self.file) for run in runs(case)]

    def once(self, case: Case) -> dict:
        disk = [self.bench.disk_rate()] if min(case.share, case.kv_share) < 1 and not case.device else []
        predicted = [self.guess(case, disk)]
        experts_on = predicted[0][-1]["policy"]["experts_on"]
        # All three in turn, so that a slow minute meets each of them.
        rounds = [[measure(self.bench, case, experts_on, *run) for run in runs(case)] for _ in range(self.options.repeat)]
        if disk:
            disk.append(self.bench.disk_rate())
        if not case.device:
            self.hardware = self.bench.probe("--again")
            predicted.append(self.guess(case, disk))
        return {"case": case.name, "measured": rounds, "predicted": predicted, "disk": disk}

    def of(self, case: Case) -> tuple:
        turns = []
        while not turns or (drift(turns[-1]) > self.options.steady and len(turns) < self.options.tries):
            turns.append(self.once(case))
            if self.options.keep:
                with open(self.options.keep, "a") as lines:
                    lines.write(json.dumps(turns[-1]) + "\n")
        done = min(turns, key=drift)
        took = [statistics.median(times) for times in zip(*map(measured_phases, done["measured"]))]
        guessed = [statistics.mean(times) for times in zip(*map(guessed_phases, done["predicted"]))]
        notes = "  disk " + ", ".join(f"{rate / 1e9:.2f}" for rate in done["disk"]) + " GB/s" if done["disk"] else ""
        if len(turns) > 1:
            notes += f"  steadiest of {len(turns)}"
        if drift(done) > self.options.steady:
            notes += f", {100 * drift(done):.0f} % apart"
        return guessed, took, notes


def compare(bench: Bench, options: argparse.Namespace, hardware: dict) -> None:
    comparison, errors = Comparison(bench, options, hardware), []
    print(f"{'':30}{'prompts: predicted  measured':>30}{'decode: predicted  measured':>30}", flush=True)
    for case in CASES:
        if options.only not in case.name:
            continue
        bench.model(case.model)
        guessed, took, notes = comparison.of(case)
        text = ""
        for expected, real in zip(guessed, took):
            error = expected / real - 1 if real > 0 else math.inf
            errors.append(abs(error))
            text += f"{expected:12.3f}{real:10.3f}{100 * error:+7.0f} %"
        print(f"{case.name:30}{text}{notes}", flush=True)
    print(f"{len(errors)} times: mean error {100 * sum(errors) / len(errors):.1f} %, worst {100 * max(errors):.0f} %")


def sweep(bench: Bench, options: argparse.Namespace) -> None:
    for job in SWEEPS:
        if options.only not in job.name:
            continue
        bench.model(job.model)
        if "--host-memory" in job.always:
            bench.disk_rate()  # kept, and what plans go by
        jobs = bench.jobs(job.requests, job.prompt, job.generate)
        print(f"{job.name}: {job.requests} requests of {job.prompt} + {job.generate} tokens, tokens per second", flush=True)
        rates: dict[tuple, list] = {}  # by the flags of a policy; () is the choice

        def run(flags: tuple) -> str:
            report, said = bench.batch(job.model, jobs, job.device, *job.always, *flags, *(["--no-probe"] if flags else []))
            rates.setdefault(flags, []).append(job.requests * job.generate / report["seconds"]["computing"])
            return " ".join(map(str, flags)) or next(line for line in said.splitlines() if "planned" in line)

        for flags in [tuple(flags) for flags in job.grid] + [()]:
            said = run(flags)
            print(f"  {rates[flags][0]:10.1f}  {said}", flush=True)
        # The best and the choice in turn, so that a slow minute meets each of them.
        finalists = sorted((flags for flags in rates if flags), key=lambda flags: -rates[flags][0])[:3] + [()]
        for _ in range(options.repeat - 1):
            for flags in finalists:
                run(flags)
        usual = {flags: statistics.median(rates[flags]) for flags in finalists}
        best = max(finalists[:-1], key=lambda flags: usual[flags])
        print(f"  the choice reaches {usual[()]:.1f}, {100 * usual[()] / usual[best]:.0f} % of the best, {usual[best]:.1f} with "
              f"{' '.join(map(str, best))} (medians of {options.repeat})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/predicted/run", description=__doc__)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release", help="sluice's build")
    parser.add_argument("--cache", type=Path, help="where sluice probe keeps what it measures (default: a folder that is removed)")
    parser.add_argument("--models", type=Path, help="a folder where models are made once and kept (default: made, and removed)")
    parser.add_argument("--under", default="", help="a command that starts each measured one, such as 'taskset -c 0,1'")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--keep", type=Path, help="append what was measured and predicted, a line for each case")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, whose median counts (3)")
    parser.add_argument("--steady", type=float, default=0.15, help="a case counts if what is predicted before and after it, and "
                        "its rounds, differ by at most this share (0.15)")
    parser.add_argument("--tries", type=int, default=3, help="else it is run again, so many times in all, and the steadiest counts (3)")
    parser.add_argument("--sweep", action="store_true", help="policies by brute force beside the one that is chosen")
    options = parser.parse_args()
    if options.models:
        options.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.models) as folder:
        options.cache = options.cache or Path(folder) / "cache"
        bench = Bench(options, Path(folder))
        hardware = bench.probe()
        sweep(bench, options) if options.sweep else compare(bench, options, hardware)


main()
