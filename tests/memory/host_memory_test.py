"""`--host-memory` is a promise of the whole process: a model three times as large as its memory runs in a control group
of that size, from an engine directory and from the checkpoint itself, with the answers it gives when all of it fits.

usage: host_memory_test.py SLUICE MAKE_MODEL DIRECTORY

Exits with 77, which ctest takes for skipped, where there is no right to make control groups.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from memory_group import MemoryGroup

LIMIT = 280 << 20  # the weights take 330 MiB in Q8, and 620 MiB in the checkpoint
SKIPPED = 77


def requests() -> str:
    lines = []
    for i in range(12):
        prompt = [(i * 7919 + k * 104729) % 1000 + 7 for k in range(5 + 7 * i)]
        lines.append(json.dumps({"prompt": prompt, "max_tokens": 6, "temperature": 0, "ignore_eos": True, "logprobs": 2}))
    return "\n".join(lines) + "\n"


def answers(output: pathlib.Path) -> dict:
    found = {}
    for line in output.read_text().splitlines():
        answer = json.loads(line)
        found[answer["custom_id"]] = answer["response"]["body"]["choices"][0]["logprobs"]["token_logprobs"]
    return found


def main() -> None:
    sluice, make_model, directory = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        with MemoryGroup(LIMIT):
            pass
    except OSError as reason:
        print(f"no control group can be made here: {reason}")
        sys.exit(SKIPPED)

    model, built, prompts = directory / "model", directory / "built", directory / "in.jsonl"
    subprocess.run([make_model, model, "--geometry", "qwen3-30b-a3b", "--layers", "2", "--experts", "32", "--vocab", "2000"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sluice, "build", model, built, "--quant", "q8"], check=True, stderr=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    prompts.write_text(requests())
    environment = os.environ | {"XDG_CACHE_HOME": str(directory)}

    def command(source: pathlib.Path, name: str, *flags: str) -> list:
        return [sluice, "batch", source, "-i", prompts, "-o", directory / f"{name}.jsonl", "--no-probe", "--json",
                "--max-batch-size", "4", "--max-seq-len", "128", "--max-num-tokens", "64", *flags]

    subprocess.run([str(word) for word in command(model, "all", "--quant", "q8")], check=True, env=environment,
                   stdout=subprocess.DEVNULL)
    expected = answers(directory / "all.jsonl")
    assert len(expected) == 12, expected
    for source, flags in ((built, []), (built, ["--schedule", "expert_fetch"]), (model, ["--quant", "q8"])):
        name = f"{source.name}{len(flags)}"
        with MemoryGroup(LIMIT) as group:
            done = group.run(command(source, name, "--host-memory", str(LIMIT), *flags), env=environment,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, f"{name}: {done.returncode}: {done.stderr}"
        report = json.loads(done.stdout)
        assert report["disk"]["experts_in_memory"] < report["disk"]["experts"] == 64, report["disk"]
        assert report["disk"]["made_from_checkpoint"] == (source is model), report["disk"]
        # Files that are mapped are shared with the page cache, which gives way; the process's own memory does not.
        if source is built:
            assert report["peak_memory_bytes"] <= LIMIT, report["peak_memory_bytes"]
        assert answers(directory / f"{name}.jsonl") == expected, f"{name}: other answers"
        print(f"{name}: {report['peak_memory_bytes'] >> 20} MiB at most, {report['disk']['experts_in_memory']} of 64 experts "
              f"in memory, {report['disk']['experts_read']} read")
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
