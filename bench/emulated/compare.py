"""MoE-Lightning's ablation on emulated machines: the same batch with each schedule. bench/emulated/run starts it."""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from machines import MACHINES, hardware

ROOT = Path(__file__).resolve().parents[2]
# With all experts on the device, as in the paper's ablation; the last as cgopipe is by itself, with those on the host that are sooner done there.
SCHEDULES = ("serial", "kv_prefetch", "cgopipe", "cgopipe-auto")
# The paper's tokens per second for MTBench with every prompt padded to 418 tokens, 128 generated: FlexGen and MoE-Lightning(p). On the T4 both with
# the policy of its ablation (mu 36, N 504), on the L4 each with its own.
PUBLISHED = {"t4": {"kv_prefetch": 16.816, "cgopipe": 30.12}, "l4": {"kv_prefetch": 37.2, "cgopipe": 79.0}}
MTBENCH_MEAN, MTBENCH_LONGEST = 77, 418


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/emulated/run", description=__doc__)
    parser.add_argument("--machines", type=lambda text: text.split(","), default=["t4", "l4"], help=",".join(MACHINES))
    parser.add_argument("--schedules", type=lambda text: text.split(","), default=list(SCHEDULES), help=",".join(SCHEDULES))
    parser.add_argument("--batch", type=int, default=144, help="N: sequences in flight")
    parser.add_argument("--micro-batch", type=int, default=36, help="mu")
    parser.add_argument("--prompt", default="padded", help="tokens of each prompt: a number; padded: MTBench's longest, as the paper's ablation; "
                        "mtbench: from one to the longest, with MTBench's mean")
    parser.add_argument("--shared-prefix", action="store_true", help="all prompts the same but for their last tokens: computed once, attended over by "
                        "each (not for kv_prefetch, which moves what is shared once)")
    parser.add_argument("--generate", type=int, default=8)
    parser.add_argument("--resident-weights", type=float, default=0.25, help="r_w: two layers of eight are the least for a "
                        "double buffer")
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release", help="sluice's build")
    parser.add_argument("--trace", type=Path, help="a folder for a trace of each run")
    return parser.parse_args()


def lengths(options: argparse.Namespace) -> list[int]:
    if options.prompt == "padded":
        return [MTBENCH_LONGEST] * options.batch
    if options.prompt != "mtbench":
        return [int(options.prompt)] * options.batch
    # Exponential, at evenly spaced quantiles in a fixed order.
    count = options.batch
    shares = [((i * 7919) % count + 0.5) / count for i in range(count)]
    return [max(1, min(MTBENCH_LONGEST, round(-MTBENCH_MEAN * math.log(1 - share)))) for share in shares]


def prompts(options: argparse.Namespace, file: Path) -> None:
    with open(file, "w") as lines:
        for i, length in enumerate(lengths(options)):
            alike = length - 16 if options.shared_prefix else 0
            ids = [((0 if k < alike else i * 7919) + k * 104729) % 500 + 3 for k in range(length)]
            body = {"model": "m", "prompt": ids, "max_tokens": options.generate, "ignore_eos": True, "temperature": 0,
                    "logprobs": 1}
            lines.write(json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": body}) + "\n")


def decoding_shares(trace: Path, options: argparse.Namespace) -> dict[str, float]:
    """How busy each lane was while all sequences decoded: without prompts, and without the last round, where lanes run out of work."""
    events = json.loads(trace.read_text())["traceEvents"]
    lanes = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
    tasks = [event for event in events if event["ph"] == "X"]
    starts: dict[int, float] = {}  # of each iteration, one of one micro-batch
    for task in tasks:
        iteration = task["args"]["iteration"]
        starts[iteration] = min(starts.get(iteration, math.inf), task["ts"])
    around, last = math.ceil(options.batch / options.micro_batch), max(starts)
    first = last - around * (options.generate - 2) + 1
    if options.generate < 4 or first < 1:
        return {}
    begin, end = starts[first], starts[last - around + 1]
    busy = dict.fromkeys(lanes.values(), 0.0)
    for task in tasks:
        busy[lanes[task["tid"]]] += max(0.0, min(task["ts"] + task["dur"], end) - max(task["ts"], begin))
    return {lane: time / (end - begin) for lane, time in busy.items()}


def compare(name: str, speeds: dict[str, float]) -> None:
    """Ratios here beside those that the paper publishes."""
    for slower, faster in (("serial", "kv_prefetch"), ("serial", "cgopipe"), ("kv_prefetch", "cgopipe"), ("cgopipe", "cgopipe-auto")):
        if slower not in speeds or faster not in speeds:
            continue
        line = f"{name:6}{faster} / {slower}: {speeds[faster] / speeds[slower]:.2f}"
        if slower in PUBLISHED[name] and faster in PUBLISHED[name]:
            line += f" (published, 128 tokens: {PUBLISHED[name][faster] / PUBLISHED[name][slower]:.2f})"
        print(line, flush=True)


def main() -> None:
    options = parse()
    sluice = options.bin / "bin/sluice"
    with tempfile.TemporaryDirectory() as folder:
        model, jobs = Path(folder) / "model", Path(folder) / "in.jsonl"
        subprocess.run([options.bin / "bin/make_model", model, "--geometry", "mixtral-2000th"], check=True,
                       stdout=subprocess.DEVNULL)
        prompts(options, jobs)
        print(f"{'':6}{'':13}{'tok/s':>8}{'seconds':>9}  share of the time that each lane was busy (planned)", flush=True)
        for name in options.machines:
            machine = Path(folder) / f"{name}.json"
            machine.write_text(json.dumps(hardware(name)))
            answers, speeds = set(), {}
            for schedule in options.schedules:
                out = Path(folder) / f"{name}.{schedule}.jsonl"
                command = [sluice, "batch", model, "-i", jobs, "-o", out, "--json", "--no-probe", "--device", f"emulated:{machine}",
                           "--schedule", schedule.removesuffix("-auto"),
                           "--experts-on", "auto" if schedule.endswith("-auto") else "device",
                           "--max-batch-size", options.batch, "--micro-batch-size", options.micro_batch,
                           "--max-num-tokens", max(512, options.micro_batch * 16),
                           "--max-seq-len", max(512, max(lengths(options)) + options.generate), "--threads", 1,
                           "--resident-weights", options.resident_weights]
                traces = options.trace or Path(folder)
                traces.mkdir(parents=True, exist_ok=True)
                trace = traces / f"{name}.{schedule}.trace.json"
                command += ["--trace", trace]
                done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                report = json.loads(done.stdout)
                device, seconds = report["emulated_device"], report["seconds"]["whole"]
                shares = "  ".join(f"{lane.replace('_', ' ')} {100 * device[lane]['busy_seconds'] / seconds:.0f} %"
                                   for lane in ("device", "host", "host_to_device", "device_to_host"))
                valid = "" if device["valid"] else f"  INVALID: {device['crowded_tasks']} tasks too long, work {device['work_share']:.2f}"
                speeds[schedule] = report['generated_tokens_per_second']
                print(f"{name:6}{schedule:13}{report['generated_tokens_per_second']:8.2f}{seconds:9.1f}  {shares}{valid}",
                      flush=True)
                decoding = decoding_shares(trace, options)
                if decoding:
                    print(f"{'':6}{'':13}{'':8}{'decoding:':>9}  " + "  ".join(f"{lane} {100 * share:.0f} %" for lane, share in decoding.items()),
                          flush=True)
                if not options.trace:
                    trace.unlink()
                lines = [json.loads(line) for line in out.read_text().splitlines()]
                answers.add(json.dumps(sorted((line["custom_id"], line["response"]["body"]["choices"][0]["logprobs"]["token_logprobs"]) for line in lines)))
            if len(answers) > 1:
                sys.exit(f"{name}: the schedules gave different answers")
            compare(name, speeds)


main()
