"""Writes the demo's prompts: OpenAI batch lines, and the expected answers beside them.

    python make_prompts.py ../../examples/prompts

All prompts are held out: none of their operand combinations was trained on. A third carries a system
prompt (several requests share a prefix), half of the extractions a JSON schema (guided decoding).
"""

import argparse
import json
import os
import random

import conversation
import tasks
from curriculum import REPORTED

PER_TASK = 18
MAX_TOKENS = 48


def draw(per_task: int, seed: int) -> list[tuple[str, tasks.Example]]:
    """(custom_id, example), tasks mixed as they would be in a user's file; no prompt twice."""
    rng, lines = random.Random(f"demo:{seed}"), []
    for name in REPORTED:
        seen = set()
        while len(seen) < per_task:
            example = tasks.sample(name, "test", rng)
            if example.prompt not in seen:
                seen.add(example.prompt)
                lines.append((f"{name}-{len(seen) - 1:04}", example))
    rng.shuffle(lines)
    return lines


def request(custom_id: str, example: tasks.Example) -> dict:
    """One OpenAI batch line."""
    number = int(custom_id.rsplit("-", 1)[1])
    messages = [{"role": "user", "content": example.prompt}]
    if number % 3 == 0:
        messages.insert(0, {"role": "system", "content": conversation.SYSTEM_PROMPTS[number % 2]})
    body = {"messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0}
    if example.schema and number % 2 == 0:
        body["response_format"] = {"type": "json_schema", "json_schema": example.schema}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def main():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--per-task", type=int, default=PER_TASK)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    lines = draw(args.per_task, args.seed)
    with open(os.path.join(args.folder, "demo.jsonl"), "w") as file:
        file.writelines(json.dumps(request(i, e)) + "\n" for i, e in lines)
    with open(os.path.join(args.folder, "demo_expected.jsonl"), "w") as file:
        file.writelines(json.dumps({"custom_id": i, "task": e.task, "expected": e.answer}) + "\n" for i, e in lines)


if __name__ == "__main__":
    main()
