"""What the tests of `sluice batch` share: a batch of mixed requests, the program, its answers."""

import json
import os
import pathlib
import subprocess


def requests(count: int) -> str:
    """Chats and completions, greedy and drawn, guided and bad: the same lines every time."""
    lines = []
    for i in range(count):
        question = f"{37 * i % 900 + 11} + {53 * i % 700 + 5} ="
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 8 + i % 17, "temperature": 0}
        url = "/v1/chat/completions"
        if i % 5 == 1:
            body |= {"temperature": 1.0, "seed": i, "top_p": 0.9}
        elif i % 5 == 2:
            body |= {"temperature": 0.8}  # its seed follows from the line
            body["n"] = 2
        elif i % 5 == 3:
            url = "/v1/completions"
            body = {"prompt": f"The number {i} is", "max_tokens": 12, "temperature": 0, "logprobs": 1, "echo": i % 2 == 1}
        elif i % 25 == 4:
            body |= {"temperature": 5}
        lines.append(json.dumps({"custom_id": f"request-{i}", "method": "POST", "url": url, "body": body}))
        if i % 20 == 7:
            lines.append(json.dumps({"prompt": f"Sort ascending: {i}, 3, {i // 2}", "temperature": 0}))
        if i % 40 == 9:
            lines.append('{"custom_id": "broken')
        if i % 40 == 11:
            lines.append(lines[-3])  # its custom_id comes twice
    return "\n".join(lines) + "\n"


class Batch:
    """One output in `directory`, and the command that writes it."""

    def __init__(self, sluice: str, model: str, directory: pathlib.Path, name: str):
        self.directory = directory
        self.input = directory / f"{name}.in.jsonl"
        self.output = directory / f"{name}.out.jsonl"
        self.arguments = [sluice, "batch", model, "-o", str(self.output), "--no-probe", "--json",
                          "--max-batch-size", "8", "--default-max-tokens", "16", "--seed", "7",
                          "--kv-cache-memory", "64M"]

    def start(self, input_from: str | None = None, extra=(), **options) -> subprocess.Popen:
        source = input_from or str(self.input)
        return subprocess.Popen([*self.arguments, "-i", source, *extra], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                env=os.environ | {"XDG_CACHE_HOME": str(self.directory)}, **options)

    def run(self, *arguments, stdin: str | None = None, **options):
        """(exit status, report or None, standard error)"""
        if stdin is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*arguments, **options)
        out, err = process.communicate(stdin, timeout=600)
        return process.returncode, json.loads(out) if out else None, err

    def answers(self) -> dict:
        """By custom_id, without what may differ from run to run. Every line whole, every id once."""
        text = self.output.read_text()
        assert not text or text.endswith("\n"), "the last line is torn"
        answers = {}
        for line in text.splitlines():
            answer = json.loads(line)
            assert answer["custom_id"] not in answers, f"{answer['custom_id']} comes twice"
            body = (answer["response"] or {}).get("body", {})
            body.pop("created", None)
            body.get("usage", {}).pop("prompt_tokens_details", None)
            answers[answer["custom_id"]] = answer
        return answers
