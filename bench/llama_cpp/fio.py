"""What fio reads of a file, past the page cache, as sluice's disk lane does (io::ReaderOptions, src/io/reader.h)."""

import argparse
import json
import shutil
import subprocess
from pathlib import Path

READ_BYTES, DEPTH = 1 << 20, 16


def require(parser: argparse.ArgumentParser) -> None:
    """Ends the program, with what to do, where there is none."""
    if not shutil.which("fio"):
        parser.error("fio is missing; install the package fio")


def gb_per_second(file: Path, pattern: str = "read", seconds: int = 4) -> float:
    """Now, for so many seconds; `pattern` is fio's --rw."""
    out = subprocess.run(["fio", "--name=read", f"--filename={file}", f"--rw={pattern}", "--ioengine=io_uring", "--direct=1",
                          f"--bs={READ_BYTES}", f"--iodepth={DEPTH}", "--fixedbufs=1", "--registerfiles=1", "--readonly",
                          "--time_based", f"--runtime={seconds}", "--output-format=json"], stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    # Warnings may come before the JSON.
    return json.loads(out[out.index("{"):])["jobs"][0]["read"]["bw_bytes"] / 1e9
