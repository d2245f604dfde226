"""Gets llama.cpp from llama-cpp-python's source distribution on PyPI, and builds its benchmarks for this CPU.

    python llama_build.py        the folder is SLUICE_BENCH_CACHE's; a second call finds all in place
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
NAME = f"llama_cpp_python-{VERSION}"
TARGETS = ("llama-bench", "llama-batched-bench")
# As llama.cpp builds itself, but for what a benchmark has no use of.
FLAGS = ("-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_SERVER=OFF",
         "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF")

# By sluice's names of instruction sets; native is -march=native, the others leave out what is above them.
ISAS = {"native": ("-DGGML_NATIVE=ON",), "avx2": ("-DGGML_NATIVE=OFF",),
        "avx512_bf16": ("-DGGML_NATIVE=OFF", "-DGGML_AVX512=ON", "-DGGML_AVX512_VBMI=ON", "-DGGML_AVX512_VNNI=ON",
                        "-DGGML_AVX512_BF16=ON")}


def cache() -> Path:
    folder = os.environ.get("SLUICE_BENCH_CACHE")
    if not folder:
        sys.exit("start this with bench/llama_cpp/run, which says where its files are kept (SLUICE_BENCH_CACHE)")
    return Path(folder)


def source() -> Path:
    """The unpacked distribution: Python bindings, and llama.cpp in vendor/."""
    return cache() / NAME


def build_folder() -> Path:
    isa = os.environ.get("SLUICE_BENCH_ISA", "native")
    return cache() / ("build" if isa == "native" else f"build-{isa}")


def program(name: str) -> Path:
    return build_folder() / "bin" / name


def options() -> tuple:
    isa = os.environ.get("SLUICE_BENCH_ISA", "native")
    return FLAGS + ISAS[isa] + (compilers() if isa == "native" else ())


def run(what: str, command: list, log: Path) -> None:
    print(f"{what} (log: {log})", file=sys.stderr, flush=True)
    with open(log, "w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))} ... failed with {done.returncode}; the end of {log}:\n"
                 + "\n".join(log.read_text().splitlines()[-20:]))


def download() -> None:
    if source().is_dir():
        return
    archive = cache() / f"{NAME}.tar.gz"
    if not archive.exists():
        run("downloading llama-cpp-python's source",
            [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python", "--dest",
             cache(), f"llama-cpp-python=={VERSION}"], cache() / "download.log")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{archive} has the SHA-256 {found}, not {SHA256}: remove it and try again")
    part = cache() / "unpacking"
    shutil.rmtree(part, ignore_errors=True)
    with tarfile.open(archive) as packed:
        packed.extractall(part, filter="data")
    (part / NAME).rename(source())
    part.rmdir()
    archive.unlink()


def compilers() -> tuple:
    """The default ones; on CPUs with AMX clang, for what g++ 12 makes of llama.cpp's tile configuration faults."""
    with open("/proc/cpuinfo") as info:
        amx = " amx_tile " in info.read()
    for suffix in ("-19", "") if amx else ():
        if shutil.which(f"clang++{suffix}"):
            return (f"-DCMAKE_C_COMPILER=clang{suffix}", f"-DCMAKE_CXX_COMPILER=clang++{suffix}")
    return ()


def install() -> None:
    build, wanted = build_folder(), options()
    done = build / "built"
    if done.exists() and done.read_text() == repr(wanted + TARGETS):
        return
    download()
    shutil.rmtree(build, ignore_errors=True)
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    run("configuring llama.cpp",
        ["cmake", "-S", source() / "vendor" / "llama.cpp", "-B", build, *generator, *wanted], cache() / "configure.log")
    run("building llama.cpp", ["cmake", "--build", build, "-j", str(os.cpu_count()), "--target", *TARGETS],
        cache() / "build.log")
    done.write_text(repr(wanted + TARGETS))


if __name__ == "__main__":
    install()
    print(f"{program(TARGETS[0])}\n{program(TARGETS[1])}")
