"""Kills a process at a random instant: what the tests that kill programs share."""

import math
import pathlib
import random
import shutil
import subprocess
import sys
import time


def arguments(kills: int) -> tuple[str, str, pathlib.Path, int, random.Random]:
    """Of SLUICE MODEL DIRECTORY [KILLS [SEED]]; the directory is made anew."""
    sluice, model, directory = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else kills
    rng = random.Random(int(sys.argv[5]) if len(sys.argv) > 5 else 1)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return sluice, model, directory, kills, rng


def kill(process: subprocess.Popen, rng: random.Random, seconds: float = math.inf, reached=None, lag: float = 0) -> bool:
    """Kills at the latest after `seconds`, or up to `lag` seconds after `reached()`. False when it had finished by then."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0001)
        if reached and reached():
            time.sleep(rng.uniform(0, lag))
            break
    finished = process.poll() is not None
    process.kill()
    process.communicate()
    return not finished
