"""Trains the demo model from nothing on one CPU core, and exports it as a Hugging Face directory.

    python train.py --out ../../examples/demo_model --work /tmp/demo_model_train

Everything drawn depends on the seed and the step alone, so that a run that was interrupted goes on from
its last checkpoint as if nothing had happened.
"""

import argparse
import json
import os
import random
import time

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")  # a kernel for every number of rows; see model.ROWS
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import conversation  # noqa: E402
import routing  # noqa: E402
import tasks  # noqa: E402
from conversation import TASK_NAMES  # noqa: E402
from curriculum import mixing_weights, stage_at  # noqa: E402
from export import export  # noqa: E402
from model import ROWS, Config, Model, make_batch  # noqa: E402
from vocabulary import train_tokenizer  # noqa: E402

VALIDATE_EVERY = 200
VALIDATION_EXAMPLES = 32  # per task
BALANCE_WEIGHT = 0.01
INFORMATION_WEIGHT = 0.02
INFORMATION_TARGET_NATS = 0.6  # the routers are pushed apart by task up to here, and no further


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm-up, a plateau, and over the last 55 % a straight line down to nothing."""
    if step < 200:
        return peak * (step + 1) / 200
    return peak * min(1.0, max(0.01, (steps - step) / (0.55 * steps)))


def losses(model, batch, dtype):
    """-> (cross entropy of the answers, balance loss, lack of information, information per layer in nats)."""
    wanted = batch.weight[1:].nonzero().squeeze(1)
    wanted = F.pad(wanted, (0, -len(wanted) % ROWS))  # token 0 again and again: its successor weighs nothing
    logits, probabilities, chosen = model(batch, dtype, wanted)
    weight = batch.weight[wanted + 1]
    entropy = F.cross_entropy(logits.float(), batch.ids[wanted + 1], reduction="none")
    answers = (entropy * weight).sum() / weight.sum()
    balance = sum(routing.balance_loss(p, c) for p, c in zip(probabilities, chosen)) / len(chosen)
    information = [routing.soft_mutual_information(p, batch.task, len(TASK_NAMES)) for p in probabilities]
    lack = sum(F.relu(INFORMATION_TARGET_NATS - i) for i in information) / len(chosen)
    return answers, balance, lack, information


@torch.no_grad()
def validate(model, tokenizer, rng, dtype):
    """Share of exact answers per task on validation operands, and how experts were chosen [layers][tasks, experts].

    A greedy answer is exact if and only if every answer token is the most likely one after the right prefix.
    """
    examples = [tasks.sample(n, "validation", rng) for n in TASK_NAMES for _ in range(VALIDATION_EXAMPLES)]
    batch = make_batch([conversation.encode(tokenizer, [e]) for e in examples])
    wanted = batch.weight[1:].nonzero().squeeze(1)
    logits, _, chosen = model(batch, dtype, wanted)
    wrong = wanted[logits.argmax(-1) != batch.ids[wanted + 1]] + 1
    wrong_sequences = torch.stack((batch.sequence[wrong], batch.task[wrong])).unique(dim=1)  # each counts once
    wrong = wrong_sequences[1].bincount(minlength=len(TASK_NAMES))
    counts = []
    for top in chosen:
        pairs = (batch.task[:, None] * model.c.experts + top)[batch.task >= 0].reshape(-1)
        counts.append(pairs.bincount(minlength=len(TASK_NAMES) * model.c.experts).view(len(TASK_NAMES), -1))
    return (1 - wrong / VALIDATION_EXAMPLES).tolist(), counts


def make_optimizer(model, peak):
    """AdamW; weight decay on the layers' matrices only."""
    decayed = [p for n, p in model.named_parameters() if n.startswith("layers.") and p.dim() > 1]
    others = [p for n, p in model.named_parameters() if not (n.startswith("layers.") and p.dim() > 1)]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.97), eps=1e-8, fused=True)


def save_checkpoint(path, **state):
    """Whole or not at all."""
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def report(log, step, started, tokens, smooth, accuracy, counts):
    """One JSON line, into the log and for whoever watches."""
    bits = [routing.mutual_information_bits(c) for c in counts]
    least = [float((c.sum(0) / c.sum()).min()) for c in counts]
    line = {"step": step, "minutes": round((time.time() - started) / 60, 2),
            "tokens_per_second": round(tokens / max(1e-9, time.time() - started)),
            "loss": round(smooth, 4), "mean_accuracy": round(sum(accuracy) / len(accuracy), 4),
            "information_bits": [round(b, 2) for b in bits], "least_share": [round(i, 3) for i in least],
            "accuracy": {n: round(a, 2) for n, a in zip(TASK_NAMES, accuracy)}}
    log.write(json.dumps(line) + "\n")
    log.flush()
    print(json.dumps(line), flush=True)


def train(args):
    """The whole run; see the module's text."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.work, exist_ok=True)
    dtype = torch.bfloat16 if args.bf16 else torch.float32
    tokenizer = train_tokenizer(args.seed)
    model = Model(Config())
    optimizer = make_optimizer(model, args.lr)
    first, average, smooth = 0, [0.0] * len(TASK_NAMES), 4.0
    checkpoint = os.path.join(args.work, "checkpoint.pt")
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, average, smooth = state["step"], state["average"], state["smooth"]
        print(f"goes on from step {first}", flush=True)
    log = open(os.path.join(args.work, "log.jsonl"), "a")
    started, tokens = time.time(), 0
    for step in range(first, args.steps):
        rng = random.Random(f"{args.seed}:{step}")
        stage = stage_at(step)
        weights = mixing_weights(TASK_NAMES, average, stage)
        batch = make_batch(conversation.draw_batch(tokenizer, rng, weights, args.tokens, stage))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, args.steps, args.lr)
        answers, balance, lack, _ = losses(model, batch, dtype)
        (answers + BALANCE_WEIGHT * balance + INFORMATION_WEIGHT * lack).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens += len(batch.ids)
        smooth += 0.02 * (answers.item() - smooth)
        if (step + 1) % VALIDATE_EVERY == 0 or step + 1 == args.steps:
            accuracy, counts = validate(model, tokenizer, random.Random(f"validation:{step}"), dtype)
            average = [0.5 * a + 0.5 * b for a, b in zip(average, accuracy)]
            report(log, step + 1, started, tokens, smooth, accuracy, counts)
            save_checkpoint(checkpoint, model=model.state_dict(), optimizer=optimizer.state_dict(), step=step + 1,
                            average=average, smooth=smooth)
            export(model, tokenizer, args.out)


def main():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="the Hugging Face directory to write")
    parser.add_argument("--work", required=True, help="checkpoint and log; an earlier checkpoint there is continued")
    parser.add_argument("--steps", type=int, default=6600)
    parser.add_argument("--tokens", type=int, default=4096, help="per step")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True,
                        help="large matrix products in bfloat16 (fast where the CPU has AMX or AVX-512 BF16)")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
