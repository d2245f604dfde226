"""Predicted beside measured, on this machine: time of prompts and of decoding for models, quantizations, batches and
memories that no calibration saw. bench/predicted/run starts it."""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIB = 1 << 30
# Of the paper's devices, scaled as make_model's mixtral-2000th is; three ratios of link to device memory.
SCALE = 2000
EMULATED = {"t4": (300e9, 65e12, 16e9), "l4": (285e9, 104e12, 16e9), "l4-fast-link": (285e9, 104e12, 64e9)}


@dataclass
class Case:
    name: str
    geometry: str
    layers: int
    quant: str
    batch: int
    prompt: int
    generate: int
    schedule: str = "resident"
    share: float = 1.0  # of the experts in memory
    device: str = ""
    micro_batch: int = 0


CASES = [
    Case("olmoe q8 b1", "olmoe-1b-7b", 4, "q8", 1, 64, 33),
    Case("olmoe q8 b8", "olmoe-1b-7b", 4, "q8", 8, 64, 17),
    Case("olmoe q8 b64", "olmoe-1b-7b", 4, "q8", 64, 64, 9),
    Case("olmoe q4 b1", "olmoe-1b-7b", 4, "q4", 1, 64, 33),
    Case("olmoe q4 b32", "olmoe-1b-7b", 4, "q4", 32, 64, 9),
    Case("olmoe q4 b256", "olmoe-1b-7b", 4, "q4", 256, 32, 5),
    Case("qwen3 q4 b1", "qwen3-30b-a3b", 4, "q4", 1, 64, 33),
    Case("qwen3 q8 b16", "qwen3-30b-a3b", 4, "q8", 16, 64, 9),
    Case("qwen3 q4 b64", "qwen3-30b-a3b", 4, "q4", 64, 64, 9),
    Case("olmoe q8 b16, 1/4 in memory", "olmoe-1b-7b", 4, "q8", 16, 32, 9, "layer_stream", 0.25),
    Case("qwen3 q4 b32, 1/4 in memory", "qwen3-30b-a3b", 4, "q4", 32, 32, 5, "layer_stream", 0.25),
    Case("mixtral on a t4's 2000th", "mixtral-2000th", 0, "none", 36, 32, 3, "cgopipe", 0.25, "t4", 12),
    Case("mixtral on an l4's 2000th", "mixtral-2000th", 0, "none", 72, 32, 3, "cgopipe", 0.25, "l4", 36),
    Case("the same, 4 x the link", "mixtral-2000th", 0, "none", 72, 32, 3, "cgopipe", 0.25, "l4-fast-link", 36),
]


def emulated(name: str) -> dict:
    memory, flops, link = EMULATED[name]
    link = {"bytes_per_second": link / SCALE, "latency_us": 10.0}

    def level(kind: str, capacity: float, bandwidth: float, peak: float) -> dict:
        return {"name": kind, "kind": kind, "capacity_bytes": int(capacity / SCALE) + GIB,
                "read_bytes_per_second": bandwidth / SCALE,
                "compute": {"model": name, "isa": "emulated", "threads": 1, "peak_flops": {"f32": peak / SCALE}}}

    return {"hardware_version": 2, "name": f"{name}, a {SCALE}th", "source": "stated",
            "levels": [level("host", 192e9, 76e9, 1.6e12), level("device", 24e9, memory, flops)],
            "links": [{"from": "host", "to": "device", **link}, {"from": "device", "to": "host", **link}]}


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path):
        self.bin, self.folder = options.bin, folder
        self.hardware = options.hardware

    def call(self, *words: object) -> dict:
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}\n{done.stderr}")
        return json.loads(done.stdout) if done.stdout.startswith("{") else {}

    def model(self, case: Case) -> Path:
        """Built once for each quantization, so that loading is no part of a run."""
        raw = self.folder / f"{case.geometry}.{case.layers}"
        if not raw.exists():
            layers = ["--layers", case.layers] if case.layers else []
            self.call(self.bin / "bin/make_model", raw, "--geometry", case.geometry, *layers)
        if case.quant == "none":
            return raw
        built = self.folder / f"{case.geometry}.{case.layers}.{case.quant}"
        if not built.exists():
            self.call(self.bin / "bin/sluice", "build", raw, built, "--quant", case.quant)
        return built

    def jobs(self, case: Case, generate: int) -> Path:
        file = self.folder / "in.jsonl"
        with open(file, "w") as lines:
            for i in range(case.batch):
                ids = [(i * 7919 + k * 104729) % 500 + 3 for k in range(case.prompt)]
                body = {"model": "m", "prompt": ids, "max_tokens": generate, "ignore_eos": True, "temperature": 0}
                lines.write(json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": body}) + "\n")
        return file

    def policy(self, case: Case) -> list:
        return ["--schedule", case.schedule, "--max-batch-size", case.batch, "--micro-batch-size",
                case.micro_batch or case.batch, "--max-num-tokens", 512]

    def measure(self, case: Case, generate: int) -> float:
        out = self.folder / "out.jsonl"
        for file in (out, Path(f"{out}.journal")):
            file.unlink(missing_ok=True)
        words = [self.bin / "bin/sluice", "batch", self.model(case), "-i", self.jobs(case, generate), "-o", out, "--json",
                 "--no-probe", "--max-seq-len", case.prompt + case.generate, *self.policy(case)]
        if case.share < 1:
            words += ["--resident-weights", case.share]
        if case.device:
            machine = self.folder / f"{case.device}.json"
            machine.write_text(json.dumps(emulated(case.device)))
            words += ["--device", f"emulated:{machine}", "--threads", 1]
        return self.call(*words)["seconds"]["whole"]

    def predict(self, case: Case, generate: int) -> float:
        words = [self.bin / "bin/sluice", "plan", self.model(case), "--json", "--prompt-tokens", case.prompt,
                 "--generate-tokens", generate, "--requests", case.batch, "--resident-weights", case.share,
                 *self.policy(case)]
        if case.device:
            words += ["--hardware", self.folder / f"{case.device}.json"]
        elif self.hardware:
            words += ["--hardware", self.hardware]
        return self.call(*words)["predicted"]["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench/predicted/run", description=__doc__)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release", help="sluice's build")
    parser.add_argument("--hardware", type=Path, help="hardware.json (default: what sluice probe keeps)")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args()
    errors = []
    print(f"{'':30}{'prompts: predicted  measured':>30}{'decode: predicted  measured':>30}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, Path(folder))
        for case in CASES:
            if options.only not in case.name:
                continue
            measured = [bench.measure(case, generate) for generate in (1, case.generate)]
            predicted = [bench.predict(case, generate) for generate in (1, case.generate)]
            pairs = [(predicted[0], measured[0]), (predicted[1] - predicted[0], measured[1] - measured[0])]
            text = ""
            for guess, real in pairs:
                error = guess / real - 1 if real > 0 else math.inf
                errors.append(abs(error))
                text += f"{guess:12.3f}{real:10.3f}{100 * error:+7.0f} %"
            print(f"{case.name:30}{text}", flush=True)
    print(f"{len(errors)} times: mean error {100 * sum(errors) / len(errors):.0f} %, worst {100 * max(errors):.0f} %")


main()
