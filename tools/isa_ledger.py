#!/usr/bin/env python3
"""Keeps docs/isa_ledger.md: which kernels last passed on which instruction set, CPU and day.

    tools/isa_ledger.py BUILD_DIR      runs BUILD_DIR/src/kernels/kernels_test and updates the ledger

A cell is replaced by a newer pass of the same test on that ISA, in all its shapes and formats; a failed one changes
nothing. Tests that are no more go.
"""
import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile

LEDGER = pathlib.Path(__file__).resolve().parent.parent / "docs" / "isa_ledger.md"
ISAS = ("scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx_int8")
HEAD = """# Which kernel last passed where

Written by `tools/isa_ledger.py` after a run of `kernels_test`, where every ISA is compared with the scalar reference bit by bit. A test runs every ISA
of the CPU it is on: a cell is the last day on which all its shapes and formats passed on that ISA, and the CPU.

"""


def cpu() -> str:
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return (f"{fields.get('model name', 'unknown')} (family {fields.get('cpu family')}, "
            f"model {fields.get('model')}, stepping {fields.get('stepping')})")


def run(build: str) -> dict:
    """{test: ISAs} of the tests that say which ISAs they ran: those that passed in all instances."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        program = pathlib.Path(build) / "src" / "kernels" / "kernels_test"
        subprocess.run([program, f"--gtest_output=json:{report}", "--gtest_brief=1"], check=False)
        suites = json.loads(report.read_text())["testsuites"]
    passed = {}
    for suite in suites:
        for test in suite["testsuite"]:
            if "isas" not in test:
                continue
            kernel = f"{suite['name'].split('/')[-1]}.{test['name'].split('/')[0]}"
            isas = set() if test.get("failures") else set(test["isas"].split())
            passed[kernel] = passed.get(kernel, isas) & isas
    return passed


def cells_of(line: str) -> list:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def read() -> dict:
    """{(kernel, ISA): (day, CPU)}"""
    cpus, rows = {}, {}
    for line in LEDGER.read_text().splitlines() if LEDGER.exists() else []:
        cells = cells_of(line)
        if len(cells) == 2 and re.fullmatch("[a-z]", cells[0]):
            cpus[cells[0]] = cells[1]
        elif len(cells) == 1 + len(ISAS) and "." in cells[0]:
            for isa, cell in zip(ISAS, cells[1:]):
                if cell:
                    day, letter = cell.split()
                    rows[(cells[0], isa)] = (day, cpus[letter])
    return rows


def write(rows: dict) -> None:
    letters = {name: chr(ord("a") + i) for i, name in enumerate(sorted({name for _, name in rows.values()}))}
    lines = ["| | CPU |", "|---|---|"] + [f"| {letter} | {name} |" for name, letter in letters.items()]
    lines += ["", "| test | " + " | ".join(ISAS) + " |", "|---" * (1 + len(ISAS)) + "|"]
    for kernel in sorted({kernel for kernel, _ in rows}):
        found = [rows.get((kernel, isa)) for isa in ISAS]
        lines.append(f"| {kernel} | " + " | ".join(f"{cell[0]} {letters[cell[1]]}" if cell else "" for cell in found) + " |")
    LEDGER.write_text(HEAD + "\n".join(lines) + "\n")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    passed = run(sys.argv[1])
    rows = {key: cell for key, cell in read().items() if key[0] in passed}
    today = datetime.date.today().isoformat()
    for kernel, isas in passed.items():
        for isa in isas:
            rows[(kernel, isa)] = (today, cpu())
    write(rows)


if __name__ == "__main__":
    main()
