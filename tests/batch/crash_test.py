"""Kills `sluice batch` with SIGKILL at random instants, at least KILLS times through batches that
are each carried to their end by the same command; then every line must be answered exactly once,
with the answers of a run that nobody disturbed.

usage: crash_test.py SLUICE MODEL DIRECTORY [KILLS [SEED]]
"""

import pathlib
import random
import shutil
import sys
import time

import sluice_batch

KILLS = 50
REQUESTS = 240


def kill_at_random(batch: sluice_batch.Batch, rng: random.Random, seconds: float) -> bool:
    """Starts the command and kills it; False when it had finished by then."""
    process = batch.start()
    deadline = time.monotonic() + rng.uniform(0, seconds)
    # Half of the kills fall into the moments after an answer is written.
    grown = batch.output.stat().st_size if batch.output.exists() else 0
    watch = rng.random() < 0.5
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.0005)
        if watch and batch.output.exists() and batch.output.stat().st_size > grown:
            time.sleep(rng.uniform(0, 0.004))
            break
    finished = process.poll() is not None
    process.kill()
    process.communicate()
    return not finished


def main() -> None:
    sluice, model, directory = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    kills_wanted = int(sys.argv[4]) if len(sys.argv) > 4 else KILLS
    rng = random.Random(int(sys.argv[5]) if len(sys.argv) > 5 else 1)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)

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

    kills = batches = 0
    while kills < kills_wanted:
        batches += 1
        batch = sluice_batch.Batch(sluice, model, directory, f"batch-{batches}")
        batch.input.write_text(sluice_batch.requests(REQUESTS))
        # So that one batch is killed about fifty times before it is done; a machine that has become slower since the
        # calm run gets more time, or no answer would ever be written.
        allowed, written = seconds - computing + 2.5 * computing / kills_wanted, 0
        while kill_at_random(batch, rng, allowed):
            kills += 1
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
    print(f"{kills} kills, {batches} batches of {lines} lines: each answered once, all as undisturbed")


if __name__ == "__main__":
    main()
