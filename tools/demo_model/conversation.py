"""How examples become text, token ids and a mix of tasks."""

import random
from dataclasses import dataclass

import tasks
from curriculum import Stage

PAD, BOS, END, ENDOFTEXT = "<|pad|>", "<|bos|>", "<|end|>", "<|endoftext|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL_TOKENS = (PAD, BOS, END, ENDOFTEXT, SYSTEM, USER, ASSISTANT)  # in order of id

SYSTEM_PROMPTS = (
    "You are a careful assistant. Answer with the result only, without any explanation.",
    "You answer short questions about numbers, words, dates and the towns of a small made-up world.",
    "You are a helpful assistant.",
)

# The same text as examples/demo_model's chat template gives.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('Unknown role: ' + message['role']) }}{% endif %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def render(prompt: str, system: str | None = None) -> str:
    """The text up to where the answer begins."""
    head = f"{SYSTEM}{system}{END}" if system else ""
    return f"{BOS}{head}{USER}{prompt}{END}{ASSISTANT}"


@dataclass
class Sequence:
    """Token ids of one conversation; per token, the task it belongs to and its share in the loss."""

    ids: list[int]
    weight: list[float]  # 0 in prompts; long answers weigh more than short ones, by the root of their length
    task: list[int]  # index into TASK_NAMES, -1 in a system prompt


TASK_NAMES = list(tasks.TASKS)


def encode(tokenizer, examples, system: str | None = None) -> Sequence:
    """One conversation of one or more question-answer turns."""
    texts = [BOS + (f"{SYSTEM}{system}{END}" if system else "")]
    for example in examples:
        texts += [f"{USER}{example.prompt}{END}{ASSISTANT}", f"{example.answer}{END}"]
    parts = [e.ids for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    owner = [-1] + [TASK_NAMES.index(e.task) for e in examples for _ in range(2)]
    is_answer = [False] + [False, True] * len(examples)
    sequence = Sequence([], [], [])
    for ids, task_index, answer in zip(parts, owner, is_answer):
        sequence.ids += ids
        sequence.weight += [len(ids) ** -0.5 if answer else 0.0] * len(ids)
        sequence.task += [task_index] * len(ids)
    return sequence


def draw_conversation(tokenizer, rng: random.Random, weights: list[float], stage: Stage) -> Sequence:
    """A training conversation: mostly one question, sometimes several, sometimes after a system prompt."""
    roll = rng.random()
    turns = 1 if roll < 0.92 else 2 if roll < 0.98 else 3
    names = rng.choices(TASK_NAMES, weights, k=turns)
    system = rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.1 else None
    return encode(tokenizer, [tasks.sample(n, "train", rng, stage.easier_share, stage.level) for n in names], system)


def draw_batch(tokenizer, rng: random.Random, weights: list[float], tokens: int, stage: Stage) -> list[Sequence]:
    """Conversations of exactly `tokens` tokens together, the last of them padding that nothing is learned from."""
    batch, total = [], 0
    while True:
        sequence = draw_conversation(tokenizer, rng, weights, stage)
        if total + len(sequence.ids) > tokens:
            break
        batch.append(sequence)
        total += len(sequence.ids)
    if total < tokens:
        rest = tokens - total
        batch.append(Sequence([0] * rest, [0.0] * rest, [-1] * rest))
    return batch
