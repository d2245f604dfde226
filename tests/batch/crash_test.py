"""Kills `sluice batch` with SIGKILL at random instants, at least KILLS times through batches that
are each carried to their end by the same command; then every line must be answered exactly once,
with the answers of a run that nobody disturbed.

usage: crash_test.py SLUICE MODEL DIRECTORY [KILLS [SEED]]
"""

import pathlib
import random
import sys
import time

import sluice_batch

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import kills  # noqa: E402

KILLS = 50
REQUESTS = 240


def kill_at_random(batch: sluice_batch.Batch, rng: random.Random, seconds: float) -> bool:
    """Starts the command and kills it; False when it had finished by then."""
    def size() -> int:
        return batch.output.stat().st_size if batch.output.exists() else 0

    # Half of the kills fall into the moments after an answer is written.
    before = size()
    grown = (lambda: size() > before) if rng.random() < 0.5 else None
    return kills.kill(batch.start(), rng, rng.uniform(0, seconds), grown, lag=0.004)


def main() -> None:
    sluice, model, directory, kills_wanted, rng = kills.arguments(KILLS)

    calm = sluice_batch.Batch(sluice, model, directory, "calm")
    calm.input.write_text(sluice_batch.requests(REQUESTS))
    start = time.monotonic()
    code, report, err = calm.run()
    seconds = time.monotonic() - start
    assert code == 3, f"exit status {code}: {err}"
    expected = calm.answers()
    lines = calm.input.read_text().count("\n")
    assert len(expected) == lines, f"{len(expected)} answers to {lines} lines"
    computing = report["seconds"]["whole"]

    killed = batches = 0
    while killed < kills_wanted:
        batches += 1
        batch = sluice_batch.Batch(sluice, model, directory, f"batch-{batches}")
        batch.input.write_text(sluice_batch.requests(REQUESTS))
        # So that one batch is killed about fifty times before it is done; a machine that has become slower since the
        # calm run gets more time, or no answer would ever be written.
        allowed, written = seconds - computing + 2.5 * computing / kills_wanted, 0
        while kill_at_random(batch, rng, allowed):
            killed += 1
            size = batch.output.stat().st_size if batch.output.exists() else 0
            allowed *= 1.0 if size > written else 1.1
            written = size
        code, _, err = batch.run()
        assert code == 3, f"exit status {code}: {err}"
        answers = batch.answers()
        assert answers.keys() == expected.keys(), "lost: %s; new: %s" % (
            sorted(expected.keys() - answers.keys())[:5], sorted(answers.keys() - expected.keys())[:5])
        for custom_id, answer in answers.items():
            assert answer == expected[custom_id], f"{custom_id}: {answer} is not {expected[custom_id]}"
    print(f"{killed} kills, {batches} batches of {lines} lines: each answered once, all as undisturbed")


if __name__ == "__main__":
    main()
