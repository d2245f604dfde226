"""The emulated machines of bench/: the paper's, at a two thousandth, as make_model's mixtral-2000th is of its model."""

SCALE = 2000
# Of the paper's optimizer, bytes and FLOP per second; the last is none of the paper's.
MACHINES = {
    "t4": {"device": (16e9, 300e9, 65e12), "host": (192e9, 76e9, 0.8e12), "link": 16e9},
    "l4": {"device": (24e9, 285e9, 104e12), "host": (192e9, 76e9, 1.6e12), "link": 16e9},
    "l4-fast-link": {"device": (24e9, 285e9, 104e12), "host": (192e9, 76e9, 1.6e12), "link": 64e9},
}
# Rows of activations are narrower by the square root of the scale alone: what lies beside the weights is added.
ACTIVATIONS = 1 << 30


def hardware(name: str) -> dict:
    """As hardware.json states it."""
    machine = MACHINES[name]
    levels = []
    for kind in ("host", "device"):
        capacity, bandwidth, flops = machine[kind]
        levels.append({"name": kind, "kind": kind, "capacity_bytes": int(capacity / SCALE) + ACTIVATIONS,
                       "read_bytes_per_second": bandwidth / SCALE,
                       "compute": {"model": f"{name}, a {SCALE}th", "isa": "emulated", "threads": 1,
                                   "peak_flops": {"f16": flops / SCALE}}})
    link = {"bytes_per_second": machine["link"] / SCALE, "latency_us": 10.0}
    return {"hardware_version": 2, "name": f"{name}, a {SCALE}th", "source": "stated", "levels": levels,
            "links": [{"from": "host", "to": "device", **link}, {"from": "device", "to": "host", **link}]}
