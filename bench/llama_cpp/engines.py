"""How each of the two engines is called for a job, and what it answers. A job is one process of one engine; it gives
the rates of one or two columns of the table, in tokens per second."""

import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import llama_build

PROMPT, GENERATE = 128, 32
LONG_PROMPT = 512

# Column: its heading. All rates are of tokens per second of wall time.
COLUMNS = {"pp512": "prompt 512", "tg1": "batch 1 decode", "tg8": "batch 8 decode", "tg32": "batch 32 decode",
           "tg64": "batch 64 decode", "job64": f"whole job 64 x ({PROMPT} + {GENERATE})"}
# Job: its batch and the columns it gives.
JOBS = {"pp512": (1, ("pp512",)), "b1": (1, ("tg1",)), "b8": (8, ("tg8",)), "b32": (32, ("tg32",)),
        "b64": (64, ("tg64", "job64"))}


@dataclasses.dataclass(frozen=True)
class Flags:
    """What llama.cpp is told beside the model and the threads."""
    flash_attention: bool = True
    micro_batch: int = 512
    repack: bool = True
    unified_kv: bool = False

    def __str__(self) -> str:
        return (f"-fa {'on' if self.flash_attention else 'off'} -ub {self.micro_batch}"
                f"{'' if self.repack else ' --no-repack'}{' -kvu' if self.unified_kv else ''}")


@dataclasses.dataclass
class Answer:
    rates: dict  # column: tokens per second
    seconds: float  # of the whole process
    others_cores: float  # how many cores' time other processes took meanwhile
    phases: dict  # column: the engine's own line, where it has more to say


def cpu_seconds() -> float:
    """Busy time of all cores since the machine started."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _iowait, irq, soft_irq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + soft_irq + steal) / os.sysconf("SC_CLK_TCK")


def run(command: list, log: Path) -> tuple:
    """(standard output, seconds, cores that others took)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy, begin = cpu_seconds(), time.monotonic()
    with open(log, "w") as errors:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=errors, text=True)
    seconds, busy = time.monotonic() - begin, cpu_seconds() - busy
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nfailed with {done.returncode}; the end of {log}:\n"
                 + "\n".join(log.read_text().splitlines()[-15:]))
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, seconds, max(0.0, busy - own) / seconds


def json_lines(text: str) -> list:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, threads: int, logs: Path):
        self.threads, self.logs = threads, logs

    def command(self, job: str, model: Path, flags: Flags) -> list:
        common = ["-m", model, "-t", self.threads, "-fa", "on" if flags.flash_attention else "off", "-ub",
                  flags.micro_batch, "-b", max(2048, flags.micro_batch)]
        if job == "pp512":  # warms up by itself
            return [llama_build.program("llama-bench"), *common, "-p", LONG_PROMPT, "-n", 0, "-r", 3, "--repack",
                    int(flags.repack), "-o", "jsonl"]
        batch = JOBS[job][0]
        # A batch of 1 first: its prompt is the first to touch the weights' pages.
        return [llama_build.program("llama-batched-bench"), *common, "-tb", self.threads, "-npp", PROMPT, "-ntg",
                GENERATE, "-npl", f"1,{batch}", "-c", batch * (PROMPT + GENERATE), "--output-format", "jsonl",
                *([] if flags.repack else ["--no-repack"]), "-kvu" if flags.unified_kv else "-no-kvu"]

    def measure(self, job: str, model: Path, flags: Flags) -> Answer:
        out, seconds, others = run(self.command(job, model, flags), self.logs / f"llama_cpp.{job}.log")
        last = json_lines(out)[-1]
        if job == "pp512":
            rates = {"pp512": statistics.median(last["samples_ts"])}
        else:
            batch, columns = JOBS[job]
            rates = {f"tg{batch}": batch * GENERATE / last["t_tg"], "job64": batch * GENERATE / last["t"]}
            rates = {column: rates[column] for column in columns}
        return Answer(rates, seconds, others, {})


class Sluice:
    name = "sluice"
    PHASES = {"prefill": "pp", "decode": "tg", "whole": "job"}
    FLAGS = {"bf16": ["--quant", "bf16"]}  # by mix: llama.cpp rounds the rows that meet bf16 as well

    def __init__(self, program: Path, threads: int, logs: Path, extra: list):
        self.program, self.threads, self.logs, self.extra = program, threads, logs, extra

    def command(self, job: str, model: Path, mix: str) -> list:
        batch, columns = JOBS[job]
        phases = {"pp512": "prefill", "b64": "decode,whole"}.get(job, "decode")
        return [self.program, model, "--threads", self.threads, "--batch", batch, "--phases", phases, "--prompt",
                LONG_PROMPT if job == "pp512" else PROMPT, "--generate", GENERATE, "--rounds",
                3 if job == "pp512" else 1, "--json", *self.FLAGS.get(mix, []), *self.extra]

    def measure(self, job: str, model: Path, mix: str) -> Answer:
        out, seconds, others = run(self.command(job, model, mix), self.logs / f"sluice.{job}.log")
        lines = {}
        for line in json_lines(out):
            size = LONG_PROMPT if line["phase"] == "prefill" else line["batch"]
            lines.setdefault(f"{self.PHASES[line['phase']]}{size}", []).append(line)
        rates = {c: statistics.median(l["measured_tokens_per_second"] for l in found) for c, found in lines.items()}
        return Answer(rates, seconds, others, {c: found[-1] for c, found in lines.items()})
