"""Loads models that are not in the page cache, and compares the time with their bytes over the disk's rate.
bench/load_time/run starts it."""

import argparse
import ctypes
import json
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "llama_cpp"))

import fio  # noqa: E402
import geometry as shapes  # noqa: E402
import model_files  # noqa: E402

LINE = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/completions",
                   "body": {"prompt": [5, 6, 7], "max_tokens": 1}})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/load_time/run", description=__doc__)
    parser.add_argument("--geometry", default="olmoe-1b-7b", choices=list(shapes.GEOMETRIES))
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--formats", type=lambda text: text.split(","), default=["q8_0", "q4_k_m", "bf16"],
                        help=",".join(shapes.FORMATS))
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=["gguf", "built"],
                        help="gguf: the file itself; built: the engine directory that sluice build makes of it")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release", help="sluice's build")
    parser.add_argument("--clean", action="store_true", help="remove each model's files when it has been measured")
    options = parser.parse_args()
    for mix in options.formats:
        if mix not in shapes.FORMATS:
            parser.error(f"--formats {mix}: there are {', '.join(shapes.FORMATS)}")
    for kind in options.kinds:
        if kind not in ("gguf", "built"):
            parser.error(f"--kinds {kind}: gguf, built")
    if os.geteuid() != 0:
        parser.error("dropping the page cache needs root")
    fio.require(parser)
    return options


def touch(bytes_: int, threads: int) -> float:
    """GB/s at which so much memory is written for the first time, by so many threads; it is free again afterwards."""
    libc = ctypes.CDLL(None)
    memory = mmap.mmap(-1, bytes_)
    memory.madvise(mmap.MADV_HUGEPAGE)
    start, part = ctypes.addressof(ctypes.c_char.from_buffer(memory)), bytes_ // threads
    begin = time.monotonic()
    team = [threading.Thread(target=libc.memset, args=(ctypes.c_void_p(start + i * part), 1, ctypes.c_size_t(part)))
            for i in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    return bytes_ / 1e9 / (time.monotonic() - begin)


def load(model: Path, bytes_: int, options: argparse.Namespace) -> tuple:
    """Seconds of `sluice batch`, from the first byte read to a model that is ready; and touch()'s rate before it."""
    with tempfile.TemporaryDirectory() as folder:
        lines, output = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        lines.write_text(LINE + "\n")
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
        touched = touch(bytes_, options.threads)
        run = subprocess.run([options.bin / "bin/sluice", "batch", model, "-i", lines, "-o", output, "--schedule", "resident",
                              "--max-batch-size", "1", "--max-seq-len", "64", "--threads", str(options.threads), "--no-probe",
                              "--quiet", "--json"], stdout=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"sluice batch failed with {run.returncode}")
    return json.loads(run.stdout)["seconds"]["load"], touched


def measure(model: Path, options: argparse.Namespace) -> None:
    parts = [model] if model.is_file() else [path for path in model.rglob("*") if path.is_file()]
    bytes_ = sum(path.stat().st_size for path in parts)
    largest = max(parts, key=lambda path: path.stat().st_size)
    ratios = []
    before = fio.gb_per_second(largest)
    for _ in range(options.repeat):
        seconds, touched = load(model, bytes_, options)
        after = fio.gb_per_second(largest)
        ratio = seconds / (bytes_ / 1e9 / ((before + after) / 2))
        print(f"{model.name:40} {bytes_ / 1e9:6.2f} GB {seconds:6.2f} s {bytes_ / 1e9 / seconds:6.2f} GB/s   "
              f"{touched:5.2f}    {before:5.2f} {after:5.2f}   {ratio:5.2f}", flush=True)
        ratios.append(ratio)
        before = after
    print(f"{model.name:40} median {statistics.median(ratios):.2f}", flush=True)


def main() -> None:
    options = parse()
    print(f"{'model':40} {'size':>9} {'load':>8} {'rate':>11}   GB/s: touched before; fio before and after; load time over "
          "bytes at fio's rate")
    for mix in options.formats:
        file = model_files.gguf(options.geometry, options.layers, mix)
        if "gguf" in options.kinds:
            measure(file, options)
        if "built" in options.kinds:
            directory = model_files.engine_directory(file, options.bin)
            measure(directory, options)
            if options.clean:
                shutil.rmtree(directory)
        if options.clean:
            file.unlink()


main()
