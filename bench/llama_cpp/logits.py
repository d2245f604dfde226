"""Do sluice and llama.cpp give the same logits for a GGUF file? Both round activations before they multiply by
quantized weights, each in its way; a forward pass in numpy (reference.py) says what each way does to this file's
logits, and so how far apart two right engines may be.

    bench/llama_cpp/run logits FILE.gguf [--tokens 32]

At each position the root mean square over the vocabulary is taken of a difference of logits. With e the exact logits,
l and s those with llama.cpp's and sluice's rounding, both in numpy, the engines' difference is expected to be
sqrt(rms(l - e)^2 + rms(s - e)^2). Half as much again is allowed of its median over the positions, and twice the
largest of any position, since a rounding that makes a router choose another expert shows at single positions.
Exits with 1 if the engines lie farther apart."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import llama_build
import reference

ROOT = Path(__file__).resolve().parents[2]
MEDIAN_ROOM = 1.5
LARGEST_ROOM = 2.0
# Of the logits' own deviation: what f32 sums in another order may differ by.
FLOOR = 1e-4


def llama_logits(path: Path, tokens: list, threads: int) -> np.ndarray:
    """Through llama-cpp-python's bindings, with the library that the benchmarks use."""
    os.environ["LLAMA_CPP_LIB_PATH"] = str(llama_build.program(""))
    sys.path.insert(0, str(llama_build.source()))
    from llama_cpp import llama_cpp as api

    quiet = api.llama_log_callback(lambda level, text, data: None)
    api.llama_log_set(quiet, None)
    api.llama_backend_init()
    model = api.llama_model_load_from_file(str(path).encode(), api.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    params = api.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = max(256, len(tokens))
    params.n_threads = params.n_threads_batch = threads
    context = api.llama_init_from_model(model, params)
    batch = api.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    if api.llama_decode(context, batch):
        sys.exit(f"llama.cpp cannot run {path}")
    vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    logits = np.stack([np.ctypeslib.as_array(api.llama_get_logits_ith(context, i), (vocab,)).copy()
                       for i in range(len(tokens))])
    api.llama_batch_free(batch)
    api.llama_free(context)
    api.llama_model_free(model)
    return logits


def sluice_logits(program: Path, model: Path, tokens: list, threads: int) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        ids, out = Path(folder) / "tokens", Path(folder) / "logits"
        ids.write_text(" ".join(map(str, tokens)))
        done = subprocess.run([program, model, ids, out, str(threads)])
        if done.returncode:
            sys.exit(f"{program} failed with {done.returncode}")
        return np.fromfile(out, dtype=np.float32).reshape(len(tokens), -1)


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By position."""
    return np.sqrt(np.mean(np.square(a.astype(np.float64) - b), axis=1))


def row(what: str, values: np.ndarray, unit: float) -> None:
    print(f"  {what:<44} median {np.median(values) / unit:9.2e}   largest {values.max() / unit:9.2e}")


def judge(expected: dict, llama: np.ndarray, sluice: np.ndarray) -> bool:
    exact = expected["exact"]
    unit = float(np.std(exact))
    by_llama, by_sluice = (apart(expected[name], exact) for name in ("llama.cpp", "sluice"))
    tolerance = np.hypot(np.hypot(by_llama, by_sluice), FLOOR * unit)
    found = apart(llama, sluice)
    print(f"logits of {len(exact)} positions, in units of their deviation ({unit:.3g}):")
    row("llama.cpp's rounding, in numpy, from exact", by_llama, unit)
    row("sluice's rounding, in numpy, from exact", by_sluice, unit)
    row("llama.cpp from exact", apart(llama, exact), unit)
    row("sluice from exact", apart(sluice, exact), unit)
    row("expected between the engines", tolerance, unit)
    row("sluice from llama.cpp", found, unit)
    same = np.mean(np.argmax(llama, axis=1) == np.argmax(sluice, axis=1))
    print(f"  the same best token at {same:.0%} of the positions")
    return bool(np.all(np.isfinite(found)) and np.median(found) <= MEDIAN_ROOM * np.median(tolerance)
                and found.max() <= LARGEST_ROOM * tolerance.max())


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/llama_cpp/run logits", description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path, metavar="FILE.gguf")
    parser.add_argument("--tokens", type=int, default=32, help="of a random prompt")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--sluice", type=Path, default=ROOT / "build/release/bench/prompt_logits",
                        help="prompt_logits of the build to check")
    parser.add_argument("--sluice-model", type=Path, help="another form of the same model, for sluice to read")
    options = parser.parse_args()
    llama_build.install()
    weights = reference.Weights(options.model)
    vocab = len(weights.tensors["token_embd.weight"].data)
    tokens = np.random.default_rng(options.seed).integers(0, vocab, options.tokens).tolist()
    llama = llama_logits(options.model, tokens, options.threads)
    sluice = sluice_logits(options.sluice, options.sluice_model or options.model, tokens, options.threads)
    arithmetics = [reference.Exact(), reference.LlamaCpp(), reference.Sluice()]
    expected = reference.Forward(weights, arithmetics).logits(tokens)
    good = judge({a.name: logits for a, logits in zip(arithmetics, expected)}, llama, sluice)
    print("they agree" if good else "they do not agree")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
