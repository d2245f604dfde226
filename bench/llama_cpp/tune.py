"""Which of llama.cpp's flags serve it best, by job. The defaults were found by this search; README.md has its results."""

import dataclasses
import json
import statistics
import sys

import engines
import geometry as shapes
import llama_build
import make_gguf

ROUNDS = 3
LEAST_GAIN = 1.02  # less is noise
DEFAULTS = {job: engines.Flags() for job in engines.JOBS}
CHOICES = {"flash_attention": (True, False), "micro_batch": (512, 128, 256, 1024, 2048), "repack": (True, False),
           "unified_kv": (False, True)}


def kept():
    return llama_build.cache() / "flags.json"


def candidates(job: str, field: str, base: engines.Flags) -> list:
    """Flags that differ from the base in one field, where that can matter to the job."""
    if field == "unified_kv" and engines.JOBS[job][0] == 1:
        return []
    if field == "micro_batch" and job not in ("pp512", "b64"):
        return []
    changed = [dataclasses.replace(base, **{field: value}) for value in CHOICES[field]]
    return [flags for flags in changed if flags != base]


def rates(llama, job: str, model, flags: engines.Flags, log: list) -> float:
    rate = llama.measure(job, model, flags).rates[engines.JOBS[job][1][-1]]
    log.append({"job": job, "flags": str(flags), "tokens_per_second": rate})
    return rate


def improve(llama, job: str, model, log: list) -> engines.Flags:
    """One field after the other, each candidate in turn with the best so far."""
    best = DEFAULTS[job]
    for field in CHOICES:
        for candidate in candidates(job, field, best):
            gains = []
            for _ in range(ROUNDS):
                against = rates(llama, job, model, best, log)
                gains.append(rates(llama, job, model, candidate, log) / against)
            gain = statistics.median(gains)
            print(f"  {job:<6} {str(candidate):<28} {gain:5.2f} of {best}", file=sys.stderr, flush=True)
            if gain > LEAST_GAIN:
                best = candidate
    return best


def best_flags(llama, search: bool) -> dict:
    """Those that an earlier search on this machine found, or the defaults; --tune searches now."""
    if search:
        log, found = [], {}
        model = llama_build.cache() / "tune.gguf"
        for mix in ("q4_k_m",):
            make_gguf.write(model, shapes.cut(shapes.GEOMETRIES["olmoe-1b-7b"], 2), mix)
            for job in engines.JOBS:
                found[job] = dataclasses.asdict(improve(llama, job, model, log))
        model.unlink()
        kept().write_text(json.dumps({"flags": found, "log": log}, indent=1))
    if kept().exists():
        found = json.loads(kept().read_text())["flags"]
        return {job: engines.Flags(**flags) for job, flags in found.items()}
    return DEFAULTS
