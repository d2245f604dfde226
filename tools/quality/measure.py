"""What quantized weights cost in quality: a Hugging Face directory's own model in transformers, fp32, once with its
weights as they are and once for each recipe with what sluice's quantizer leaves of them.

    python measure.py ../../examples/demo_model ../../build/release/bin/requantize q8_0 q4_k q4_k,head=q8_0

A recipe is a format for every matrix product, then formats for some of them: experts, attention, head, or embed,
which is a table and stays exact unless it is named. Routers, norms and biases are always exact. Activations are fp32.

Accuracy and changed answers are those of the model as it is; divergences are means over --orders of its channels
(reorder.py), with their standard errors.

Accuracy is exact match of the greedy answer to held-out prompts, as tools/demo_model/evaluate.py makes them. The
divergence is KL(exact || quantized) in nats: after every token of prompts and of the exact model's answers, and after
the answers' alone, where a model that is sure of itself leaves little of it. The tokens that every prompt begins with
do not count: the same ones a thousand times, they would outweigh the rest.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "demo_model"))
import evaluate  # noqa: E402
from reorder import reordered  # noqa: E402

PARTS = ("experts", "attention", "head", "embed")
BITS = {"f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q4_0": 4.5, "q4_1": 5, "q4_k": 4.5, "iq4_nl": 4.5, "mxfp4": 4.25}


def part_of(name: str) -> str | None:
    """What a parameter belongs to; None for what is always kept."""
    if ".experts." in name:
        return "experts"
    if "_proj." in name and name.endswith("weight"):
        return "attention" if ".self_attn." in name else "experts"
    return {"lm_head.weight": "head", "model.embed_tokens.weight": "embed"}.get(name)


def parse_recipe(text: str) -> dict[str, str]:
    """Part -> format."""
    first, *rest = text.split(",")
    recipe = {part: first for part in PARTS if part != "embed"}
    recipe |= dict(word.split("=") for word in rest)
    unknown = recipe.keys() - set(PARTS) | set(recipe.values()) - BITS.keys()
    if unknown:
        sys.exit(f"measure.py: recipe '{text}' has {sorted(unknown)}; parts are {PARTS}, formats {tuple(BITS)}")
    return recipe


def quantized(model, recipe: dict[str, str], requantize: str):
    """-> (a copy with quantized weights, bits per weight of the matrix products, of the whole model kept in bf16)."""
    model = copy.deepcopy(model)
    product_bits = product_weights = all_bits = all_weights = 0
    for name, parameter in model.named_parameters():
        part = part_of(name)
        form = recipe.get(part, "bf16")
        if part in recipe:
            done = subprocess.run([requantize, form], input=parameter.detach().numpy().tobytes(), capture_output=True)
            if done.returncode:
                sys.exit(f"measure.py: {name}: {done.stderr.decode()}")
            parameter.data = torch.frombuffer(bytearray(done.stdout), dtype=torch.float32).reshape(parameter.shape)
        all_bits += BITS[form] * parameter.numel()
        all_weights += parameter.numel()
        if part in ("experts", "attention", "head"):
            product_bits += BITS[form] * parameter.numel()
            product_weights += parameter.numel()
    return model, product_bits / product_weights, all_bits / all_weights


@dataclass
class Judge:
    """The exact model's answers, and its distributions over them."""

    tokenizer: object
    questions: list
    sequences: list[tuple[int, list[int]]]  # (tokens of the prompt, all ids)
    exact: list[torch.Tensor]  # per question log probabilities [tokens, vocabulary]
    texts: list[str]


@torch.no_grad()
def distributions(model, sequences) -> list[torch.Tensor]:
    """Log probabilities of what follows each token. No padding: by length."""
    by_length = defaultdict(list)
    for index, (_, ids) in enumerate(sequences):
        by_length[len(ids)].append(index)
    results = [None] * len(sequences)
    for group in by_length.values():
        for start in range(0, len(group), evaluate.BATCH):
            part = group[start:start + evaluate.BATCH]
            logits = model(torch.tensor([sequences[i][1] for i in part])).logits
            for index, rows in zip(part, logits):
                results[index] = rows.log_softmax(dim=-1)
    return results


def make_judge(model, folder: str, per_task: int, seed: int) -> Judge:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    questions = evaluate.held_out(per_task, seed)
    results = evaluate.answers(model, tokenizer, questions)
    sequences = [(len(evaluate.prompt_ids(tokenizer, q.messages)), ids) for q, (_, ids) in zip(questions, results)]
    return Judge(tokenizer, questions, sequences, distributions(model, sequences), [t for t, _ in results])


def divergences(judge: Judge, model) -> tuple[torch.Tensor, torch.Tensor]:
    """After every token beyond the prompts' common beginning, and after the answers' alone."""
    common = len(os.path.commonprefix([ids for _, ids in judge.sequences]))
    every, answers = [], []
    for (prompt, _), exact, other in zip(judge.sequences, judge.exact, distributions(model, judge.sequences)):
        divergence = (exact.exp() * (exact - other)).sum(dim=-1).clamp(min=0)
        every.append(divergence[common:])
        answers.append(divergence[prompt - 1:])
    return torch.cat(every), torch.cat(answers)


def accuracy(judge: Judge, model) -> dict:
    """Of the greedy answers."""
    texts = [text for text, _ in evaluate.answers(model, judge.tokenizer, judge.questions)]
    tasks = defaultdict(list)
    for question, text in zip(judge.questions, texts):
        tasks[question.task].append(text == question.expected)
    return {
        "accuracy": sum(map(sum, tasks.values())) / len(texts),
        "tasks": {name: sum(right) / len(right) for name, right in tasks.items()},
        "changed": sum(a != b for a, b in zip(texts, judge.texts))}


def measure(judge: Judge, models: list, recipe: dict[str, str], requantize: str) -> dict:
    """All figures of one recipe; `models` are one model in several orders, the first as it is."""
    figures, every, answers = {}, [], []
    for model in models:
        changed, *bits = quantized(model, recipe, requantize)
        figures = figures or accuracy(judge, changed) | {"bits": bits}
        pair = divergences(judge, changed)
        every.append(pair[0])
        answers.append(pair[1])
    every, answers = torch.stack(every), torch.stack(answers)
    means = every.mean(dim=1)
    error = (means.std() / len(means) ** 0.5).item() if len(means) > 1 else float("nan")
    return figures | {
        "kl_mean": means.mean().item(), "kl_mean_error": error, "kl_median": every.median().item(),
        "kl_p99": every.flatten().kthvalue(int(0.99 * every.numel())).values.item(), "kl_max": every.max().item(),
        "kl_answers_mean": answers.mean().item(), "kl_answers_max": answers.max().item()}


HEADER = """| weights | bits, products | bits, model | accuracy | answers changed | most lost by a task | KL, mean | median | 99 % \
| max | of answers, mean | max |
|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|"""


def show(label: str, row: dict, exact: dict) -> None:
    """A row of the table."""
    worst = max(row["tasks"], key=lambda name: exact["tasks"][name] - row["tasks"][name])
    lost = 100 * (exact["tasks"][worst] - row["tasks"][worst])
    print(f"| {label} | {row['bits'][0]:.2f} | {row['bits'][1]:.2f} | {100 * row['accuracy']:.1f} % | {row['changed']} "
          f"| {f'{lost:.1f} points, {worst}' if lost > 0 else 'none'} "
          f"| {row['kl_mean']:.5f} ± {row['kl_mean_error']:.5f} | {row['kl_median']:.6f} | {row['kl_p99']:.4f} "
          f"| {row['kl_max']:.2f} | {row['kl_answers_mean']:.6f} | {row['kl_answers_max']:.3f} |", flush=True)


def main():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("requantize")
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--per-task", type=int, default=50)
    parser.add_argument("--orders", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", help="also write all figures here")
    args = parser.parse_args()
    recipes = [parse_recipe(text) for text in args.recipes]
    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.folder, dtype=torch.float32).eval()
    judge = make_judge(model, args.folder, args.per_task, args.seed)
    models = [reordered(model, order) for order in range(args.orders)]
    print(f"{len(judge.questions)} prompts, {sum(len(ids) for _, ids in judge.sequences)} tokens\n\n{HEADER}")
    figures = {}
    for text, recipe in (("bf16", dict.fromkeys(PARTS, "bf16")), *zip(args.recipes, recipes)):
        figures[text] = measure(judge, models, recipe, args.requantize)
        show(text, figures[text], figures["bf16"])
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
