#!/usr/bin/env python3
"""Keeps docs/isa_ledger.md: which kernels last passed on which instruction set, CPU and day.

    tools/isa_ledger.py BUILD_DIR      runs BUILD_DIR/src/kernels/kernels_test and updates the ledger

A row is replaced by a newer pass of the same kernel, ISA and CPU; a failed test changes nothing.
"""
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

LEDGER = pathlib.Path(__file__).resolve().parent.parent / "docs" / "isa_ledger.md"
HEAD = """# Which kernel last passed where

Written by `tools/isa_ledger.py` after a run of `kernels_test`, where every ISA is compared with the
scalar reference bit by bit. A test file runs every ISA of the CPU it is on; other rows stay as they
were.

| kernel | ISA | CPU | last passed |
|---|---|---|---|
"""


def cpu():
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return (f"{fields.get('model name', 'unknown')} (family {fields.get('cpu family')}, "
            f"model {fields.get('model')}, stepping {fields.get('stepping')})")


def passed(build):
    """{(kernel, isa)} of the tests that passed."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        program = pathlib.Path(build) / "src" / "kernels" / "kernels_test"
        subprocess.run([program, f"--gtest_output=json:{report}", "--gtest_brief=1"], check=False)
        suites = json.loads(report.read_text())["testsuites"]
    rows = set()
    for suite in suites:
        for test in suite["testsuite"]:
            if test.get("failures") or "isas" not in test:
                continue
            for isa in test["isas"].split():
                rows.add((f"{suite['name']}.{test['name']}", isa))
    return rows


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = {}
    if LEDGER.exists():
        for line in LEDGER.read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == 4 and cells[0] != "kernel" and not cells[0].startswith("-"):
                rows[tuple(cells[:3])] = cells[3]
    today = datetime.date.today().isoformat()
    for kernel, isa in passed(sys.argv[1]):
        rows[(kernel, isa, cpu())] = today
    body = "".join(f"| {k} | {i} | {c} | {day} |\n" for (k, i, c), day in sorted(rows.items()))
    LEDGER.write_text(HEAD + body)


if __name__ == "__main__":
    main()
