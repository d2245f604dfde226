"""What bench/predicted/run measures: cases with one policy each, and sweeps over many."""

from dataclasses import dataclass, field


@dataclass
class Model:
    geometry: str
    layers: int = 0  # the first so many; 0: all
    vocab: int = 0
    quant: str = "none"

    def raw(self) -> str:
        return f"{self.geometry}.{self.layers}"


@dataclass
class Case:
    name: str
    model: Model
    batch: int
    prompt: int
    generate: int
    waves: int = 1  # batches one after the other: so many that the run takes seconds
    schedule: str = "resident"
    share: float = 1.0  # of the experts in memory
    device: str = ""
    micro_batch: int = 0
    kv_share: float = 1.0  # of the cache in memory, the rest on disk


OLMOE_Q8 = Model("olmoe-1b-7b", 6, 16384, "q8")
OLMOE_Q4 = Model("olmoe-1b-7b", 6, 16384, "q4")
QWEN_Q8 = Model("qwen3-30b-a3b", 6, 16384, "q8")
QWEN_Q4 = Model("qwen3-30b-a3b", 6, 16384, "q4")
MIXTRAL = Model("mixtral-2000th")

# By raw model, so that only one is there at a time.
CASES = [
    Case("olmoe q8 b1", OLMOE_Q8, 1, 64, 33, 12),
    Case("olmoe q8 b8", OLMOE_Q8, 8, 64, 33, 3),
    Case("olmoe q8 b64", OLMOE_Q8, 64, 64, 17),
    Case("olmoe q8 b16, 1/4 in memory", OLMOE_Q8, 16, 32, 9, 1, "layer_stream", 0.25),
    Case("olmoe q8 b16, the cache on disk", OLMOE_Q8, 16, 160, 65, 1, "resident", micro_batch=4, kv_share=0.0),
    Case("olmoe q8 b16, both on disk", OLMOE_Q8, 16, 160, 17, 1, "layer_stream", 0.25, micro_batch=8, kv_share=0.25),
    Case("olmoe q4 b1", OLMOE_Q4, 1, 64, 33, 12),
    Case("olmoe q4 b32", OLMOE_Q4, 32, 64, 17, 2),
    Case("olmoe q4 b256", OLMOE_Q4, 256, 32, 9),
    Case("qwen3 q8 b16", QWEN_Q8, 16, 64, 17, 2),
    Case("qwen3 q4 b1", QWEN_Q4, 1, 64, 33, 12),
    Case("qwen3 q4 b64", QWEN_Q4, 64, 64, 17),
    Case("qwen3 q4 b32, 1/4 in memory", QWEN_Q4, 32, 32, 5, 1, "layer_stream", 0.25),
    Case("mixtral on a t4's 2000th", MIXTRAL, 36, 32, 9, 1, "cgopipe", 0.25, "t4", 12),
    Case("mixtral on an l4's 2000th", MIXTRAL, 72, 32, 9, 1, "cgopipe", 0.25, "l4", 36),
    Case("the same, 4 x the link", MIXTRAL, 72, 32, 9, 1, "cgopipe", 0.25, "l4-fast-link", 36),
]


@dataclass
class Sweep:
    """A job under every policy of a grid: lists of flags."""
    name: str
    model: Model
    requests: int
    prompt: int
    generate: int
    grid: list
    always: list = field(default_factory=list)
    device: str = ""


def sizes(batches: tuple, tokens: tuple) -> list:
    return [["--max-batch-size", b, "--max-num-tokens", max(t, b)] for b in batches for t in tokens]


def on_device(policies: tuple) -> list:
    return [["--schedule", schedule, "--max-batch-size", n, "--micro-batch-size", mu] for schedule, n, mu in policies]


SWEEPS = [
    Sweep("olmoe q8", OLMOE_Q8, 256, 48, 12, sizes((8, 32, 64, 128, 256), (512, 2048))),
    Sweep("olmoe q8, 1.2 GB", OLMOE_Q8, 128, 32, 8, sizes((16, 64, 128), (512, 2048)), ["--host-memory", "1200M"]),
    Sweep("qwen3 q4", QWEN_Q4, 192, 48, 12, sizes((16, 64, 192), (512, 2048))),
    Sweep("mixtral on an l4's 2000th", MIXTRAL, 72, 32, 3,
          on_device((("cgopipe", 72, 36), ("cgopipe", 72, 24), ("cgopipe", 72, 72), ("cgopipe", 36, 12), ("serial", 72, 36))),
          device="l4"),
]
