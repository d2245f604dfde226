"""Writes the golden cases of the table in cases.py: for each a tiny random model and what transformers computes for it.

    python make.py OUT [CASE ...]        OUT is tests/golden of the repository; the format is in its README.md
"""

import argparse
import itertools
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

import config_style
import oracle
import weights
from case import Case
from cases import CASES

LOGIT_MARGIN = 2e-3  # between the best and the next token, along the greedy continuation
ROUTER_MARGIN = 1e-4  # between the last chosen and the first unchosen expert's probability
DISTINCT_GREEDY = 6  # tokens that a continuation must have at least
MAX_TRIES = 400


class Rejected(Exception):
    """This draw of weights or prompt makes a poor golden; the next seed is tried."""


def write_model(case: Case, seed: int, folder: Path) -> None:
    eos = case.config["vocab_size"] - 1
    config = AutoConfig.for_model(case.family, eos_token_id=eos, **case.config)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    weights.randomize(model, case.gains, seed)
    dtype = getattr(torch, case.dtype)
    weights.cast(model, dtype, case.keep_float32)
    model.config.dtype = dtype
    model.save_pretrained(
        folder,
        max_shard_size=case.max_shard_bytes or "1GB",
        save_original_format=not case.fused_experts,
    )
    (folder / "generation_config.json").unlink()
    config_style.write(case, folder)


def check_names(case: Case, folder: Path) -> None:
    """The names must be those of the checkpoints on the hub, or all fused, as the case says."""
    names = []
    for file in folder.glob("model*.safetensors"):
        with safetensors.safe_open(file, framework="pt") as tensors:
            names += tensors.keys()
    fused = any(name.endswith((".gate_up_proj", "experts.down_proj")) for name in names)
    if fused != case.fused_experts:
        raise RuntimeError(f"{case.name}: fused experts {'' if fused else 'not '}in the file")
    if case.family == "mixtral" and not fused and not any(".block_sparse_moe.experts.0.w1.weight" in n for n in names):
        raise RuntimeError(f"{case.name}: not Mixtral's names: {sorted(names)[:12]}")
    if case.max_shard_bytes and len(list(folder.glob("model-*.safetensors"))) < 2:
        raise RuntimeError(f"{case.name}: meant to be sharded and is not")


def choose_prompt(model, length: int, generator: torch.Generator) -> torch.Tensor:
    """Random ids; a token at which some router is close to undecided is drawn again, from the front."""
    ids = torch.randint(model.config.vocab_size, (length,), generator=generator)
    routing = oracle.watch_routers(model)
    for _ in range(MAX_TRIES):
        routing.thinnest.clear()
        oracle.prefill(model, ids)
        if not routing.thinnest:
            return ids
        thin = (routing.thinnest[0] < ROUTER_MARGIN).nonzero()
        if not len(thin):
            return ids
        ids[thin[0]] = torch.randint(model.config.vocab_size, (1,), generator=generator)
    raise Rejected("no prompt with decided routers")


def compute(case: Case, seed: int, folder: Path) -> tuple[dict, dict]:
    """The golden tensors and their entries in golden.json."""
    generator = torch.Generator().manual_seed(seed + 1)
    tensors, sequences, used = {}, [], None
    for i, length in enumerate(case.prompts):
        ids = choose_prompt(oracle.load(folder), length, generator)
        model = oracle.load(folder)  # fresh: rope dynamic keeps state
        routing = oracle.watch_routers(model)
        logits, cache = oracle.prefill(model, ids)
        greedy, greedy_logits = oracle.continue_greedily(model, logits[-1], cache, case.greedy)

        margin = oracle.least_margin(greedy_logits)
        router_margin = min((float(gap.min()) for gap in routing.thinnest), default=None)
        if margin < LOGIT_MARGIN:
            raise Rejected(f"logit margin {margin}")
        if router_margin is not None and router_margin < ROUTER_MARGIN:
            raise Rejected(f"router margin {router_margin}")
        if len(greedy.unique()) < DISTINCT_GREEDY:
            raise Rejected(f"only {len(greedy.unique())} distinct tokens")
        used = routing.used if used is None else [a + b for a, b in zip(used, routing.used)]

        positions = torch.arange(0, length, case.logit_stride)
        if int(positions[-1]) != length - 1:
            positions = torch.cat([positions, torch.tensor([length - 1])])
        tensors |= {
            f"input_ids_{i}": ids.to(torch.int32),
            f"logit_positions_{i}": positions.to(torch.int32),
            f"logits_{i}": logits[positions].contiguous(),
            f"greedy_{i}": greedy.to(torch.int32),
        }
        if case.keep_greedy_logits:
            tensors[f"greedy_logits_{i}"] = greedy_logits
        entry = {"prompt_tokens": length, "greedy_tokens": case.greedy, "logits_at": len(positions)}
        entry["least_logit_margin"] = round(margin, 6)
        if router_margin is not None:
            entry["least_router_margin"] = round(router_margin, 6)
        sequences.append(entry)
    if any(int(layer.min()) == 0 for layer in used):
        raise Rejected("an expert that no token used")
    return tensors, {"sequences": sequences}


def make(case: Case, out: Path) -> None:
    why = None
    for seed in itertools.count(case.seed * 1000):
        if seed == case.seed * 1000 + MAX_TRIES:
            sys.exit(f"{case.name}: no seed of {MAX_TRIES} gives a usable golden; last: {why}")
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / case.name
            write_model(case, seed, folder)
            check_names(case, folder)
            try:
                tensors, measured = compute(case, seed, folder)
            except Rejected as rejected:
                why = rejected
                print(f"{case.name}: seed {seed} rejected: {why}", flush=True)
                continue
            safetensors.torch.save_file(tensors, folder / "golden.safetensors")
            about = {
                "case": case.name,
                "shows": case.shows,
                "seed": seed,
                "weights": case.dtype,
                "logit_stride": case.logit_stride,
                "config_variants": [config_style.file_name(style) for style in case.also],
                **measured,
                "made_with": {
                    "transformers": transformers.__version__,
                    "torch": torch.__version__.split("+")[0],
                    "safetensors": safetensors.__version__,
                    "python": platform.python_version(),
                },
            }
            (folder / "golden.json").write_text(json.dumps(about, indent=2) + "\n")
            shutil.rmtree(out / case.name, ignore_errors=True)
            shutil.copytree(folder, out / case.name)
            for file in (out / case.name).iterdir():
                file.chmod(0o644)  # safetensors writes 0600
        size = sum(file.stat().st_size for file in (out / case.name).iterdir())
        print(f"{case.name}: seed {seed}, {size} bytes, {measured['sequences']}", flush=True)
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    unknown = set(args.cases) - {case.name for case in CASES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # sums in one order
    torch.use_deterministic_algorithms(True)
    args.out.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if not args.cases or case.name in args.cases:
            make(case, args.out)


if __name__ == "__main__":
    main()
