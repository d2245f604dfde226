"""Procedural tasks with checkable answers, split by a hash of their operands.

A task is a function rng -> Example. `key` names the operands and nothing else (sorted where their order
does not matter), and the split is a function of task and key, so that an operand combination belongs
to exactly one of: train, validation (steers the task mix during training), test (reported).
"""

import hashlib
import random
from dataclasses import dataclass
from typing import Callable

TEST_PERCENT = 10
VALIDATION_PERCENT = 4


@dataclass(frozen=True)
class Example:
    """One question: the user's prompt, the only right answer, and for extraction its JSON schema."""

    task: str
    key: str
    prompt: str
    answer: str
    schema: dict | None = None


def split_of(task: str, key: str) -> str:
    """'test', 'validation' or 'train'; depends on the operands only."""
    digest = hashlib.blake2b(f"{task}|{key}".encode(), digest_size=8).digest()
    bucket = int.from_bytes(digest, "little") % 100
    if bucket < TEST_PERCENT:
        return "test"
    return "validation" if bucket < TEST_PERCENT + VALIDATION_PERCENT else "train"


TASKS: dict[str, Callable[[random.Random], Example]] = {}


def task(function):
    """Registers a generator under its own name."""
    name = function.__name__

    def generate(rng: random.Random) -> Example:
        return Example(name, *function(rng))

    TASKS[name] = generate
    return generate


# Easier variants of some tasks: drawn in training only, as steps towards the task itself.
EASIER: dict[tuple[str, int], Callable[[random.Random], Example]] = {}


def easier(name, level=1):
    """Registers a generator as an easier variant of a task (the higher the level, the easier); keys share one split."""
    def register(function):
        EASIER[name, level] = lambda rng: Example(name, *function(rng))
        return function
    return register


def sample(name: str, split: str, rng: random.Random, easier_share: float = 0.0, level: int = 1) -> Example:
    """Draws until the operands fall into `split`; `easier_share` of the draws from the variant of that level."""
    generator = TASKS[name]
    variant = EASIER.get((name, level), EASIER.get((name, 1)))
    if variant and easier_share and rng.random() < easier_share:
        generator = variant
    while True:
        example = generator(rng)
        if split_of(name, example.key) == split:
            return example
