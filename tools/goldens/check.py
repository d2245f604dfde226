"""Recomputes committed goldens with the transformers installed here and compares.

    python check.py tests/golden [CASE ...]

For each folder: the logits of every stored position, from config.json and from each further config.<style>.json;
the greedy tokens; that a prefill over prompt and continuation chooses the same tokens (not for rope dynamic,
where it does not).
"""

import argparse
import json
import sys
from pathlib import Path

import safetensors.torch
import torch
import transformers

import oracle

TOLERANCE = 1e-5  # --tolerance 1e-4 for other versions or another processor, which may sum in another order


def check_config(folder: Path, config_name: str, golden: dict, sequences: int) -> float:
    """The largest difference in logits; raises if greedy tokens differ."""
    worst = 0.0
    for i in range(sequences):
        model = oracle.load(folder, config_name)
        ids = golden[f"input_ids_{i}"].long()
        logits, cache = oracle.prefill(model, ids)
        stored = golden[f"logits_{i}"]
        worst = max(worst, float((logits[golden[f"logit_positions_{i}"].long()] - stored).abs().max()))
        expected = golden[f"greedy_{i}"].long()
        greedy, greedy_logits = oracle.continue_greedily(model, logits[-1], cache, len(expected))
        if not torch.equal(greedy, expected):
            raise ValueError(f"{config_name}: greedy tokens of sequence {i} differ")
        if f"greedy_logits_{i}" in golden:
            worst = max(worst, float((greedy_logits - golden[f"greedy_logits_{i}"]).abs().max()))
        if model.config.rope_parameters["rope_type"] != "dynamic":
            together, _ = oracle.prefill(oracle.load(folder, config_name), torch.cat([ids, expected]))
            if not torch.equal(together[len(ids) - 1 : -1].argmax(-1), expected):
                raise ValueError(f"{config_name}: a prefill of sequence {i} and its continuation chooses other tokens")
    return worst


def check(folder: Path, tolerance: float) -> bool:
    about = json.loads((folder / "golden.json").read_text())
    golden = safetensors.torch.load_file(folder / "golden.safetensors")
    good = True
    for config_name in ["config.json", *about["config_variants"]]:
        try:
            worst = check_config(folder, config_name, golden, len(about["sequences"]))
            verdict = "ok" if worst <= tolerance else "LOGITS DIFFER"
            print(f"{folder.name}/{config_name}: {verdict}, largest difference {worst:.2e}", flush=True)
            good &= worst <= tolerance
        except (ValueError, RuntimeError) as failure:
            print(f"{folder.name}/{config_name}: {failure}", flush=True)
            good = False
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("golden", type=Path)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE)
    args = parser.parse_args()
    folders = sorted(file.parent for file in args.golden.glob("*/golden.json"))
    if args.cases:
        unknown = set(args.cases) - {folder.name for folder in folders}
        if unknown:
            parser.error(f"no such case: {', '.join(sorted(unknown))}")
        folders = [folder for folder in folders if folder.name in args.cases]
    if not folders:
        parser.error(f"{args.golden}: no goldens here")
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    failed = [folder.name for folder in folders if not check(folder, args.tolerance)]
    if failed:
        sys.exit(f"{len(failed)} of {len(folders)} cases differ: {', '.join(failed)}")
    print(f"all {len(folders)} cases agree with transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
