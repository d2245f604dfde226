"""Few sequences on a model whose experts lie on disk but for a share: what it gains to keep those that are measured to be chosen most, and to
guess the next layer's. All ways in turn, in rounds, the median of each. bench/residency/run starts it."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAYS = {"even": ["--no-expert-use", "--guess-experts", "off"],
        "even, guessing": ["--no-expert-use"],
        "measured": ["--guess-experts", "off"],
        "measured, guessing": []}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/residency/run", description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=ROOT / "examples/demo_model", help="any MODEL of sluice's; "
                        "anything but an engine directory is built into one first")
    parser.add_argument("--quant", default="q8", help="of what is built")
    parser.add_argument("--prompts", type=Path, default=ROOT / "examples/prompts/demo.jsonl", help="OpenAI batch lines")
    parser.add_argument("--lines", type=int, default=60, help="of them")
    parser.add_argument("--random-prompts", type=int, metavar="TOKENS", help="instead: this many random token ids each, for a model without a tokenizer")
    parser.add_argument("--generate", type=int, default=32, help="tokens for each random prompt")
    parser.add_argument("--shares", type=lambda text: [float(part) for part in text.split(",")], default=[0, 0.25, 0.5, 0.75, 1],
                        help="of the experts in memory")
    parser.add_argument("--ways", type=lambda text: text.split(";"), default=list(WAYS), help="; between: " + "; ".join(WAYS))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, help="where the engine directory and the answers go (default: a temporary one), on the disk to be read")
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release", help="sluice's build")
    return parser.parse_args()


def write_prompts(options: argparse.Namespace, file: Path) -> None:
    if options.random_prompts is None:
        lines = options.prompts.read_text().splitlines()[:options.lines]
    else:
        ids = [[(i * 7919 + k * 104729) % 500 + 3 for k in range(options.random_prompts)] for i in range(options.lines)]
        body = {"model": "m", "max_tokens": options.generate, "ignore_eos": True, "temperature": 0}
        lines = [json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": {**body, "prompt": prompt}})
                 for i, prompt in enumerate(ids)]
    file.write_text("\n".join(lines) + "\n")


class Runs:
    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options, self.folder, self.sluice = options, folder, options.bin / "bin/sluice"
        self.prompts = folder / "in.jsonl"
        write_prompts(options, self.prompts)
        self.model = options.model if (options.model / "engine.json").exists() else folder / "model"
        if self.model != options.model:
            self.call("build", options.model, self.model, "--quant", options.quant)
        self.answers = None

    def call(self, *words) -> str:
        # What is learned of experts' use is this bench's own.
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}
        done = subprocess.run([str(word) for word in (self.sluice, *words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment)
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout

    def run(self, share: float, flags: list) -> dict:
        out = self.folder / "out.jsonl"
        report = json.loads(self.call(
            "batch", self.model, "-i", self.prompts, "-o", out, "--json", "--no-probe", "--schedule", "expert_fetch", "--resident-weights", share,
            "--max-batch-size", self.options.batch, "--threads", self.options.threads, "--max-seq-len", 512, *flags))
        answers = sorted(json.dumps([line["custom_id"], line["response"]["body"]["choices"]])
                         for line in map(json.loads, out.read_text().splitlines()))
        for path in self.folder.glob("out.jsonl*"):
            path.unlink()
        if self.answers not in (None, answers):
            sys.exit(f"other answers with {share} of the experts in memory, {flags}")
        self.answers = answers
        return report


def row(way: str, reports: list, base: float) -> tuple[str, float]:
    speed = statistics.median(report["generated_tokens_per_second"] for report in reports)
    disk = reports[-1].get("disk", {"experts_read": 0})
    computed = reports[-1]["tokens"]["computed"]
    text = f"{way:20}{speed:9.1f}{speed / (base or speed):7.2f}{disk['experts_read'] / computed:11.2f}"
    if "guesses" in disk and disk["guesses"]["experts"]:
        guesses = disk["guesses"]
        text += f"{guesses['right'] / guesses['experts']:9.0%}{guesses['experts_read'] / computed:11.2f}{guesses['useless_reads'] / computed:9.2f}"
    return text, base or speed


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        runs = Runs(options, Path(folder))
        runs.run(1, [])  # learns the use that later runs begin with
        print(f"{'share':>6}  {'':20}{'tok/s':>9}{'ratio':>7}{'read/tok':>11}{'right':>9}{'ahead/tok':>11}{'in vain':>9}", flush=True)
        for share in options.shares:
            ways = options.ways if share < 1 else ["measured"]  # where all are in memory, there is one
            reports = {way: [] for way in ways}
            for _ in range(options.rounds):
                for way in ways:
                    reports[way].append(runs.run(share, WAYS[way]))
            base = 0.0
            for way in ways:
                text, base = row(way, reports[way], base)
                print(f"{share:6.0%}  {text}", flush=True)


main()
