"""Judges a Hugging Face directory with transformers' own MixtralForCausalLM, in fp32, on held-out prompts.

    python evaluate.py ../../examples/demo_model [--per-task 200 | --prompts ../../examples/prompts]

Accuracy is exact match of the greedy answer. The mutual information of task and expert is the plug-in
estimate over the top-2 choices, and over the first choices alone, of all tokens of prompts and answers.
"""

import argparse
import json
import os
import random
from collections import defaultdict
from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import routing
import tasks
from curriculum import REPORTED

MAX_NEW_TOKENS = 48
BATCH = 64


@dataclass(frozen=True)
class Question:
    """What is asked, and the only right answer."""

    task: str
    messages: list[dict]
    expected: str


def from_files(folder: str) -> list[Question]:
    """demo.jsonl and demo_expected.jsonl, answered freely (without their JSON schemas)."""
    with open(os.path.join(folder, "demo.jsonl")) as asked, open(os.path.join(folder, "demo_expected.jsonl")) as known:
        pairs = [(json.loads(a), json.loads(k)) for a, k in zip(asked, known, strict=True)]
    assert all(a["custom_id"] == k["custom_id"] for a, k in pairs)
    return [Question(k["task"], a["body"]["messages"], k["expected"]) for a, k in pairs]


def held_out(per_task: int, seed: int) -> list[Question]:
    """Test examples, no prompt twice; fewer where a task has fewer."""
    rng, examples = random.Random(f"test:{seed}"), []
    for name in REPORTED:
        seen = {}
        for _ in range(per_task * 30):
            example = tasks.sample(name, "test", rng)
            seen.setdefault(example.prompt, example)
            if len(seen) == per_task:
                break
        examples += seen.values()
    return [Question(e.task, [{"role": "user", "content": e.prompt}], e.answer) for e in examples]


def prompt_ids(tokenizer, messages) -> list[int]:
    """Through the directory's own chat template."""
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@torch.no_grad()
def answers(model, tokenizer, examples) -> list[tuple[str, list[int]]]:
    """(text, all ids) per example. Batches hold prompts of one length: no padding, no mask."""
    by_length = defaultdict(list)
    for index, example in enumerate(examples):
        ids = prompt_ids(tokenizer, example.messages)
        by_length[len(ids)].append((index, ids))
    results = [None] * len(examples)
    ends = set(model.generation_config.eos_token_id)
    for length, group in sorted(by_length.items()):
        for start in range(0, len(group), BATCH):
            part = group[start:start + BATCH]
            ids = torch.tensor([p for _, p in part])
            out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                 max_new_tokens=MAX_NEW_TOKENS)
            for (index, prompt), row in zip(part, out.tolist()):
                new = row[length:]
                stop = next((i for i, t in enumerate(new) if t in ends), len(new))
                results[index] = (tokenizer.decode(new[:stop]), prompt + new[:stop])
    return results


@torch.no_grad()
def routing_counts(model, examples, sequences):
    """-> per layer (first choices, top-k choices), each [tasks, experts]."""
    experts, top_k = model.config.num_local_experts, model.config.num_experts_per_tok
    first = torch.zeros(model.config.num_hidden_layers, len(REPORTED), experts)
    chosen = torch.zeros_like(first)
    for example, ids in zip(examples, sequences):
        task = REPORTED.index(example.task)
        logits = model(torch.tensor([ids]), output_router_logits=True).router_logits
        for layer, scores in enumerate(logits):
            top = scores.topk(top_k, dim=-1).indices
            first[layer, task] += top[:, 0].bincount(minlength=experts)
            chosen[layer, task] += top.reshape(-1).bincount(minlength=experts)
    return first, chosen


def judge(folder: str, examples: list[Question]) -> dict:
    """All figures of one directory."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    results = answers(model, tokenizer, examples)
    right, total, mistakes = defaultdict(int), defaultdict(int), defaultdict(list)
    for example, (text, _) in zip(examples, results):
        total[example.task] += 1
        right[example.task] += text == example.expected
        if text != example.expected and len(mistakes[example.task]) < 4:
            mistakes[example.task].append({"prompt": example.messages[-1]["content"], "expected": example.expected,
                                           "answer": text})
    first, chosen = routing_counts(model, examples, [ids for _, ids in results])
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "prompts": len(examples), "accuracy": sum(right.values()) / len(examples),
        "tasks": {n: {"prompts": total[n], "accuracy": right[n] / total[n]} for n in total},
        "information_bits_top2": [routing.mutual_information_bits(c) for c in chosen],
        "information_bits_top1": [routing.mutual_information_bits(c) for c in first],
        "expert_share": [(c.sum(0) / c.sum()).tolist() for c in chosen], "mistakes": mistakes}


def show(result: dict) -> None:
    """The result as Markdown."""
    print("| task | held-out prompts | accuracy |\n|---|---:|---:|")
    for name, row in result["tasks"].items():
        print(f"| {name} | {row['prompts']} | {100 * row['accuracy']:.1f} % |")
    print(f"| **all** | {result['prompts']} | {100 * result['accuracy']:.1f} % |\n")
    print("| layer | information, top-2 | information, first choice | least used expert | most used expert |")
    print("|---|---:|---:|---:|---:|")
    rows = zip(result["information_bits_top2"], result["information_bits_top1"], result["expert_share"])
    for layer, (two, one, share) in enumerate(rows):
        print(f"| {layer} | {two:.2f} bit | {one:.2f} bit | {100 * min(share):.1f} % | {100 * max(share):.1f} % |")
    print(f"\n{result['parameters']} parameters")
    for name, examples in result["mistakes"].items():
        for m in examples:
            print(f"- {name}: {m['prompt']!r}: expected {m['expected']!r}, got {m['answer']!r}")


def main():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--per-task", type=int, default=200)
    parser.add_argument("--prompts", help="a folder with demo.jsonl and demo_expected.jsonl, instead of fresh prompts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", help="also write all figures here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result = judge(args.folder, from_files(args.prompts) if args.prompts else held_out(args.per_task, args.seed))
    show(result)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
