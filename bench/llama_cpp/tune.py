"""Which of llama.cpp's flags serve it best, for each format and job. run --tune searches; README.md says what a search
found, which is the default here."""

import dataclasses
import functools
import json
import statistics
import sys
from pathlib import Path

import engines
import geometry as shapes
import llama_build
import make_gguf

LAYERS = 2
ROUNDS = 3
# A candidate whose first round is beyond these has no second.
HOPELESS, PLAIN = 0.93, 1.15
# Less is noise.
LEAST_GAIN = 1.02
CHOICES = {"repack": (True, False), "flash_attention": (True, False), "micro_batch": (512, 128, 256, 1024, 2048),
           "unified_kv": (False, True)}


def default_flags(mix: str, job: str) -> engines.Flags:
    return engines.Flags()


def kept() -> Path:
    return llama_build.cache() / "flags.json"


def candidates(job: str, field: str, base: engines.Flags) -> list:
    """Flags that differ from the base in one field, where it can matter to the job."""
    batch = engines.JOBS[job][0]
    if field == "unified_kv" and batch == 1 or field == "micro_batch" and job not in ("pp512", "b64"):
        return []
    values = [v for v in CHOICES[field] if not (job == "pp512" and field == "micro_batch" and v > engines.LONG_PROMPT)]
    return [flags for value in values if (flags := dataclasses.replace(base, **{field: value})) != base]


def gain(measure, candidate: engines.Flags, best: engines.Flags) -> float:
    """The median over rounds of the candidate's rate over that of the best so far, measured in turn."""
    gains = []
    for _ in range(ROUNDS):
        against, rate = measure(best, candidate)
        gains.append(rate / against)
        if not HOPELESS < gains[0] < PLAIN:
            break
    return statistics.median(gains)


def improve(llama, patient, mix: str, job: str, model: Path, log: list) -> engines.Flags:
    """One field after the other."""
    best = default_flags(mix, job)

    def measure(*candidates: engines.Flags) -> list:
        answers = patient.measure(*(functools.partial(llama.measure, job, model, flags) for flags in candidates))
        log.extend({"format": mix, "job": job, "flags": str(flags), "rates": answer.rates,
                    "others_cores": round(answer.others_cores, 2)} for flags, answer in zip(candidates, answers))
        return [answer.rates[engines.JOBS[job][1][-1]] for answer in answers]

    for field in CHOICES:
        for candidate in candidates(job, field, best):
            found = gain(measure, candidate, best)
            print(f"  {mix:<7} {job:<6} {candidate!s:<30} {found:5.2f} of {best}", file=sys.stderr, flush=True)
            if found > LEAST_GAIN:
                best = candidate
    return best


def search(llama, patient, mixes: list, jobs: list) -> None:
    """On two layers of OLMoE: what matters is the shape of a layer, and a search of the whole would take a day."""
    found = json.loads(kept().read_text()) if kept().exists() else {"flags": {}, "log": []}
    for mix in mixes:
        model = llama_build.cache() / f"tune.{mix}.gguf"
        make_gguf.write(model, shapes.cut(shapes.GEOMETRIES["olmoe-1b-7b"], LAYERS), mix)
        for job in jobs:
            best = improve(llama, patient, mix, job, model, found["log"])
            found["flags"].setdefault(mix, {})[job] = dataclasses.asdict(best)
            kept().write_text(json.dumps(found, indent=1))
        model.unlink()


def flags_for(mix: str, job: str) -> engines.Flags:
    """Those that a search on this machine found, or the default."""
    found = json.loads(kept().read_text())["flags"] if kept().exists() else {}
    own = found.get(mix, {}).get(job)
    return engines.Flags(**own) if own else default_flags(mix, job)
