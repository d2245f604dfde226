"""Measures sluice and llama.cpp in turn on the same files of random weights. bench/llama_cpp/run starts it."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import engines
import geometry as shapes
import llama_build
import make_gguf
import table
import tune

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"olmoe-1b-7b": 16, "qwen3-30b-a3b": 12}
PAIRS = {"pp512": 5, "b1": 9, "b8": 5, "b32": 5, "b64": 3}
QUICK_PAIRS = {"pp512": 1, "b1": 3, "b8": 1, "b32": 1, "b64": 1}
# A file lies in the page cache while an engine holds a copy in its own layout.
SHARE_OF_MEMORY = 0.4


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/llama_cpp/run", description=__doc__)
    many = {"type": lambda text: text.split(",")}
    parser.add_argument("--formats", **many, default=list(shapes.FORMATS), help=",".join(shapes.FORMATS))
    parser.add_argument("--geometries", **many, default=list(shapes.GEOMETRIES), help=",".join(shapes.GEOMETRIES))
    parser.add_argument("--columns", **many, default=list(engines.COLUMNS), help=",".join(engines.COLUMNS))
    parser.add_argument("--layers", type=int, default=0, help="0: as README.md says, less where memory is short")
    parser.add_argument("--pairs", type=int, default=0, help="of every column; 0: 9 of batch 1, 3 to 5 of others")
    parser.add_argument("--quick", action="store_true", help="q4_k_m alone, 4 layers, 3 pairs of batch 1, 1 of others")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--tune", action="store_true", help="first find llama.cpp's best flags on this machine")
    parser.add_argument("--sluice", type=Path, default=ROOT / "build/release/bench/engine_bench",
                        help="engine_bench of the build to measure")
    parser.add_argument("--sluice-flags", default="", help="more flags for it, in one string")
    parser.add_argument("--safetensors", action="store_true",
                        help="bf16 only: sluice reads make_model's safetensors of the same geometry")
    parser.add_argument("--patience", type=int, default=0, metavar="SECONDS",
                        help="wait so long at most before each pair until others use less than 5 %% of the machine")
    parser.add_argument("--results", type=Path, help="JSON of everything; else a new file in the cache")
    parser.add_argument("--keep", action="store_true", help="leave the model files for the next call")
    options = parser.parse_args()
    if options.quick:
        options.formats, options.layers = ["q4_k_m"], options.layers or 4
    for what, known in (("formats", shapes.FORMATS), ("geometries", shapes.GEOMETRIES), ("columns", engines.COLUMNS)):
        for word in getattr(options, what):
            if word not in known:
                parser.error(f"--{what} {word}: there are {', '.join(known)}")
    if options.safetensors and options.formats != ["bf16"]:
        parser.error("--safetensors goes with --formats bf16")
    if not options.sluice.exists():
        parser.error(f"{options.sluice} is not built: ninja -C build/release engine_bench make_model")
    return options


def layers_for(options: argparse.Namespace, geometry: str, mix: str) -> int:
    """As many as were asked for, or as fit into memory twice."""
    wanted = options.layers or LAYERS[geometry]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for layers in range(wanted, 1, -1):
        listed = shapes.tensors(shapes.cut(shapes.GEOMETRIES[geometry], layers), mix)
        if sum(t.rows * t.columns * table.BITS[t.kind] / 8 for t in listed) <= SHARE_OF_MEMORY * memory:
            return layers
    return 1


def make_safetensors(options: argparse.Namespace, geometry: str, layers: int, folder: Path) -> None:
    if not folder.exists():
        program = options.sluice.resolve().parents[1] / "bin" / "make_model"
        subprocess.run([program, folder, "--geometry", geometry, "--layers", str(layers)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def warm(path: Path) -> None:
    """Into the page cache, so that neither engine waits for the disk."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with open(file, "rb", buffering=0) as data:
            while data.read(64 << 20):
                pass


def wait_for_quiet(patience: int) -> None:
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        before, begin = engines.cpu_seconds(), time.monotonic()
        time.sleep(2)
        if (engines.cpu_seconds() - before) / (time.monotonic() - begin) < 0.05 * os.cpu_count():
            return


def measure_pair(job: str, llama, sluice, model: Path, sluice_model: Path, flags: engines.Flags) -> dict:
    warm(model)
    theirs = llama.measure(job, model, flags)
    warm(sluice_model)
    ours = sluice.measure(job, sluice_model)
    record = {"job": job, "llama.cpp": theirs.rates, "sluice": ours.rates, "phases": ours.phases,
              "others_cores": [round(theirs.others_cores, 2), round(ours.others_cores, 2)],
              "seconds": [round(theirs.seconds, 1), round(ours.seconds, 1)], "flags": str(flags)}
    for column, rate in ours.rates.items():
        print(f"  {engines.COLUMNS[column]:<28} sluice {rate:9.2f}  llama.cpp {theirs.rates[column]:9.2f}  "
              f"ratio {rate / theirs.rates[column]:5.2f}  others' cores {max(record['others_cores']):.2f}", flush=True)
    return record


def measure_file(options: argparse.Namespace, name: str, mix: str, llama, sluice, flags: dict, keep) -> None:
    geometry = shapes.cut(shapes.GEOMETRIES[name], layers_for(options, name, mix))
    whole = geometry.layers == shapes.GEOMETRIES[name].layers
    title = f"{name} {mix}" + ("" if whole else f", {geometry.layers} layers")
    print(f"\n{title}: writing the file", flush=True)
    folder = llama_build.cache() / "models"
    folder.mkdir(exist_ok=True)
    model = folder / f"{name}.{geometry.layers}.{mix}.gguf"
    if not model.exists():
        make_gguf.write(model.with_suffix(".part"), geometry, mix)
        model.with_suffix(".part").rename(model)
    sluice_model = model
    if options.safetensors:
        sluice_model = folder / f"{name}.{geometry.layers}"
        make_safetensors(options, name, geometry.layers, sluice_model)
    pairs = QUICK_PAIRS if options.quick else PAIRS
    jobs = [job for job, (_, columns) in engines.JOBS.items() if set(columns) & set(options.columns)]
    records = keep(title, geometry, mix)
    for i in range(max(options.pairs or pairs[job] for job in jobs)):
        for job in jobs:
            if i >= (options.pairs or pairs[job]):
                continue
            wait_for_quiet(options.patience)
            records.append(measure_pair(job, llama, sluice, model, sluice_model, flags[job]))
            keep(title, geometry, mix)
    if not options.keep:
        model.unlink()
        subprocess.run(["rm", "-rf", sluice_model], check=True)


def machine(options: argparse.Namespace) -> dict:
    with open("/proc/cpuinfo") as info:
        names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.machine(), "cores": os.cpu_count(), "threads": options.threads,
            "kernel": platform.release(), "llama_cpp_python": llama_build.VERSION,
            "llama_cpp_build": " ".join(llama_build.FLAGS), "sluice": str(options.sluice),
            "sluice_flags": options.sluice_flags, "load": os.getloadavg()}


def main() -> int:
    options = parse()
    llama_build.install()
    logs = llama_build.cache() / "logs"
    logs.mkdir(exist_ok=True)
    llama = engines.LlamaCpp(options.threads, logs)
    sluice = engines.Sluice(options.sluice, options.threads, logs, options.sluice_flags.split())
    results = options.results or llama_build.cache() / time.strftime("results-%Y%m%d-%H%M%S.json")
    flags = tune.best_flags(llama, options.tune)
    report = {"machine": machine(options), "flags": {job: str(f) for job, f in flags.items()}, "files": {}}

    def keep(title, geometry, mix):
        file = report["files"].setdefault(title, {"geometry": geometry.name, "layers": geometry.layers, "mix": mix,
                                                  "records": []})
        results.write_text(json.dumps(report, indent=1))
        return file["records"]

    print(f"{report['machine']['cpu']}, {options.threads} threads; llama-cpp-python {llama_build.VERSION}; flags: "
          + "; ".join(f"{job} {f}" for job, f in flags.items()))
    for name in options.geometries:
        for mix in options.formats:
            measure_file(options, name, mix, llama, sluice, flags, keep)
    for title, file in report["files"].items():
        geometry = shapes.cut(shapes.GEOMETRIES[file["geometry"]], file["layers"])
        table.print_file(title, geometry, file["mix"], file["records"])
    table.print_ratios({title: file["records"] for title, file in report["files"].items()})
    print(f"\neverything is in {results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
