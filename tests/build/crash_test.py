"""Kills `sluice build` with SIGKILL at random instants; the same command must go on, and in the end
the directory must be, byte for byte, the one that nobody disturbed.

usage: crash_test.py SLUICE MODEL DIRECTORY [KILLS [SEED]]
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import kills  # noqa: E402

KILLS = 40


def contents(directory: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def build(sluice: str, model: str, out: pathlib.Path) -> subprocess.Popen:
    return subprocess.Popen([sluice, "build", model, str(out), "--quant", "q4", "--json"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def groups_in(journal: pathlib.Path) -> int:
    try:
        return journal.read_bytes().count(b'{"group":')
    except FileNotFoundError:  # not there yet, or no longer
        return 0


def kill_at_random(process: subprocess.Popen, journal: pathlib.Path, rng: random.Random, seconds: float) -> bool:
    """False when it had finished by then."""
    if rng.random() < 0.2:
        return kills.kill(process, rng, rng.uniform(0, seconds))
    # Most kills fall into the moments after one of the next groups is written.
    wanted = groups_in(journal) + rng.randint(1, 12)
    return kills.kill(process, rng, reached=lambda: groups_in(journal) >= wanted, lag=0.001)


def main() -> None:
    sluice, model, directory, kills_wanted, rng = kills.arguments(KILLS)

    calm = directory / "calm"
    start = time.monotonic()
    process = build(sluice, model, calm)
    out, err = process.communicate()
    seconds = time.monotonic() - start
    assert process.returncode == 0, err
    expected = contents(calm)
    assert "engine.json" in expected and "build.journal" not in expected, sorted(expected)

    killed = builds = midway = 0
    while killed < kills_wanted:
        builds += 1
        out_directory = directory / f"build-{builds}"
        partial = directory / f"build-{builds}.partial"
        while kill_at_random(build(sluice, model, out_directory), partial / "build.journal", rng, seconds):
            killed += 1
            midway += groups_in(partial / "build.journal") > 0
            # A name stands for a whole directory, whenever it appears.
            assert not out_directory.exists() or contents(out_directory).keys() >= expected.keys()
            if out_directory.exists() or killed % 8 == 0:
                break
        if not out_directory.exists() or (out_directory / "build.journal").exists():
            process = build(sluice, model, out_directory)
            out, err = process.communicate()
            assert process.returncode == 0, err
            assert json.loads(out)["finished"], out
        assert not partial.exists()
        got = contents(out_directory)
        assert got.keys() == expected.keys(), sorted(got.keys() ^ expected.keys())
        for name, data in expected.items():
            assert got[name] == data, f"{name} differs"
        shutil.rmtree(out_directory)
    assert midway >= kills_wanted // 4, f"only {midway} of {killed} kills fell between the first group and the last"
    print(f"{killed} kills, {midway} of them between two groups, {builds} builds: all as undisturbed")


if __name__ == "__main__":
    main()
