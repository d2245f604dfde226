"""Measures sluice and llama.cpp in turn on the same files of random weights. bench/llama_cpp/run starts it."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import engines
import geometry as shapes
import llama_build
import model_files
import quiet
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
    parser.add_argument("--isa", choices=list(llama_build.ISAS), default="native",
                        help="hold both engines to this instruction set")
    parser.add_argument("--tune", action="store_true", help="first find llama.cpp's best flags on this machine")
    parser.add_argument("--sluice", type=Path, default=ROOT / "build/release/bench/engine_bench",
                        help="engine_bench of the build to measure")
    parser.add_argument("--sluice-flags", default="", help="more flags for it, in one string")
    parser.add_argument("--safetensors", action="store_true",
                        help="bf16 only: sluice reads make_model's safetensors of the same geometry")
    parser.add_argument("--quiet", type=float, default=0.2, metavar="CORES",
                        help="with --patience: a pair counts if other processes used less than this meanwhile")
    parser.add_argument("--patience", type=int, default=0, metavar="SECONDS",
                        help="for each pair, to wait until the machine is quiet and to repeat disturbed ones; 0: take "
                        "the machine as it is")
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


def warm(path: Path) -> None:
    """Into the page cache, so that neither engine waits for the disk."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with open(file, "rb", buffering=0) as data:
            while data.read(64 << 20):
                pass


def measure_pair(patient: quiet.Quiet, job: str, engine_pair: tuple, models: tuple, mix: str) -> dict:
    flags = tune.flags_for(mix, job)

    def measure(engine, model, *more):
        warm(model)
        return engine.measure(job, model, *more)

    theirs, ours = patient.measure(lambda: measure(engine_pair[0], models[0], flags),
                                   lambda: measure(engine_pair[1], models[1], mix))
    record = {"job": job, "llama.cpp": theirs.rates, "sluice": ours.rates, "phases": ours.phases,
              "others_cores": [round(theirs.others_cores, 2), round(ours.others_cores, 2)],
              "seconds": [round(theirs.seconds, 1), round(ours.seconds, 1)], "flags": str(flags)}
    for column, rate in ours.rates.items():
        print(f"  {engines.COLUMNS[column]:<28} sluice {rate:9.2f}  llama.cpp {theirs.rates[column]:9.2f}  "
              f"ratio {rate / theirs.rates[column]:5.2f}  others' cores {max(record['others_cores']):.2f}", flush=True)
    return record


def make_models(options: argparse.Namespace, geometry: shapes.Geometry, mix: str) -> tuple:
    """What llama.cpp reads and what sluice reads."""
    model = model_files.gguf(geometry.name, geometry.layers, mix)
    if not options.safetensors:
        return model, model
    directory = model_files.folder() / f"{geometry.name}.{geometry.layers}"
    if not directory.exists():
        program = options.sluice.resolve().parents[1] / "bin" / "make_model"
        subprocess.run([program, directory, "--geometry", geometry.name, "--layers", str(geometry.layers)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return model, directory


def remove(models: tuple) -> None:
    for path in set(models):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def measure_file(options: argparse.Namespace, name: str, mix: str, engine_pair: tuple, keep) -> None:
    geometry = shapes.cut(shapes.GEOMETRIES[name], layers_for(options, name, mix))
    whole = geometry.layers == shapes.GEOMETRIES[name].layers
    title = f"{name} {mix}" + ("" if whole else f", {geometry.layers} layers")
    print(f"\n{title}: writing the file", flush=True)
    models = make_models(options, geometry, mix)
    pairs = {job: options.pairs or (QUICK_PAIRS if options.quick else PAIRS)[job] for job in jobs_of(options)}
    records = keep(title, geometry, mix)
    patient = quiet.Quiet(options.quiet, options.patience)
    for i in range(max(pairs.values())):
        for job in (job for job, wanted in pairs.items() if i < wanted):
            records.append(measure_pair(patient, job, engine_pair, models, mix))
            keep(title, geometry, mix)
    if not options.keep:
        remove(models)


def jobs_of(options: argparse.Namespace) -> list:
    return [job for job, (_, columns) in engines.JOBS.items() if set(columns) & set(options.columns)]


def machine(options: argparse.Namespace) -> dict:
    with open("/proc/cpuinfo") as info:
        names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.machine(), "cores": os.cpu_count(), "threads": options.threads,
            "kernel": platform.release(), "llama_cpp_python": llama_build.VERSION,
            "llama_cpp_build": " ".join(llama_build.options()), "sluice": str(options.sluice),
            "sluice_flags": options.sluice_flags, "load": os.getloadavg()}


def main() -> int:
    options = parse()
    os.environ["SLUICE_BENCH_ISA"] = options.isa
    llama_build.install()
    logs = llama_build.cache() / "logs"
    logs.mkdir(exist_ok=True)
    llama = engines.LlamaCpp(options.threads, logs)
    sluice = engines.Sluice(options.sluice, options.threads, logs, options.sluice_flags.split()
                            + ([] if options.isa == "native" else ["--isa", options.isa]))
    results = options.results or llama_build.cache() / time.strftime("results-%Y%m%d-%H%M%S.json")
    if options.tune:
        tune.search(llama, quiet.Quiet(options.quiet, options.patience), options.formats, jobs_of(options))
    report = {"machine": machine(options), "files": {}}

    def keep(title, geometry, mix):
        file = report["files"].setdefault(title, {"geometry": geometry.name, "layers": geometry.layers, "mix": mix,
                                                  "records": []})
        results.write_text(json.dumps(report, indent=1))
        return file["records"]

    print(f"{report['machine']['cpu']}, {options.threads} threads; llama-cpp-python {llama_build.VERSION}")
    for name in options.geometries:
        for mix in options.formats:
            measure_file(options, name, mix, (llama, sluice), keep)
    print_report(report)
    print(f"\neverything is in {results}")
    return 0


def print_report(report: dict) -> None:
    for title, file in report["files"].items():
        geometry = shapes.cut(shapes.GEOMETRIES[file["geometry"]], file["layers"])
        table.print_file(title, geometry, file["mix"], file["records"])
    table.print_ratios({title: file["records"] for title, file in report["files"].items()})


if __name__ == "__main__":
    sys.exit(main())
