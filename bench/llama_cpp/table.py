"""What a run's records say: medians, ratios, and shares of what the machine can do."""

import math
import statistics

import engines
import geometry as shapes

# Bits of a weight, with its share of the block's scales.
BITS = {"F32": 32, "BF16": 16, "Q4_0": 4.5, "Q8_0": 8.5, "MXFP4": 4.25, "Q4_K": 4.5, "Q6_K": 6.5625}


def geometric_mean(values: list) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def active(geometry: shapes.Geometry, mix: str) -> tuple:
    """(bytes of weights that one decoded token reads, multiply-adds of a decoded token, of a prompt's token). Of the
    embedding one row; of the experts those chosen; the head for the last token of a prompt alone. Attention over the
    context is left out: a percent or two of either at the contexts measured here."""
    size = decoded = prompt = 0.0
    for tensor in shapes.tensors(geometry, mix):
        weights = tensor.rows * tensor.columns
        if tensor.name.startswith("token_embd"):
            weights = tensor.columns
        elif "_exps" in tensor.name:
            weights *= geometry.experts_used / geometry.experts
        size += weights * BITS[tensor.kind] / 8
        if len(tensor.shape) > 1 and not tensor.name.startswith("token_embd"):
            decoded += weights
            prompt += weights if not tensor.name.startswith("output") else weights / engines.LONG_PROMPT
    return size, decoded, prompt


def column_pairs(records: list, column: str) -> list:
    return [(r["sluice"][column], r["llama.cpp"][column]) for r in records if column in r["sluice"]]


def summary(records: list, column: str) -> dict:
    """Of one file's records: both medians, the median of the pairs' ratios, and how far those lie apart."""
    pairs = column_pairs(records, column)
    ratios = sorted(a / b for a, b in pairs)
    return {"pairs": len(pairs), "sluice": statistics.median(a for a, _ in pairs),
            "llama.cpp": statistics.median(b for _, b in pairs), "ratio": statistics.median(ratios),
            "least": ratios[0], "most": ratios[-1]}


def peak_of(mix: str, phase: dict) -> tuple:
    """The rate of arithmetic that a format is held against: (operations per second, its name)."""
    name, key = ("bf16", "measured_bf16_flops") if mix == "bf16" else ("int8", "measured_int8_ops")
    if phase.get(key, 0) > 0:
        return phase[key], name
    return phase.get("measured_f32_flops", 0), "f32"


def limits(geometry: shapes.Geometry, mix: str, records: list) -> list:
    """Lines of shares: what each engine reached over what the machine allowed when it was measured."""
    size, decoded, prompt = active(geometry, mix)
    lines = []
    for column, per_token, what in (("tg1", size, "reads"), ("pp512", 2 * prompt, "arithmetic"),
                                    ("tg64", 2 * decoded, "arithmetic")):
        shares = {"sluice": [], "llama.cpp": []}
        for record in records:
            phase = record["phases"].get(column)
            if not phase or "measured_read_bytes_per_second" not in phase:
                continue
            peak, name = peak_of(mix, phase)
            if what == "reads":
                peak, name = phase["measured_read_bytes_per_second"], "read bandwidth"
            for engine in shares:
                shares[engine].append((record[engine][column] * per_token, peak))
        if not shares["sluice"]:
            continue
        unit = "GB/s" if what == "reads" else "GOP/s"
        lines.append(f"  {engines.COLUMNS[column]:<22} {name + ' ' + unit:<20} "
                     f"{statistics.median(p for _, p in shares['sluice']) / 1e9:8.1f}"
                     + "".join(f"   {engine} {statistics.median(r for r, _ in found) / 1e9:7.1f} "
                               f"({statistics.median(r / p for r, p in found):4.0%})" for engine, found in shares.items()))
    return lines


def print_file(title: str, geometry: shapes.Geometry, mix: str, records: list) -> None:
    print(f"\n{title}")
    print(f"  {'':<22} {'pairs':>5} {'sluice':>9} {'llama.cpp':>9}  tok/s   {'ratio':>6}  of the pairs")
    for column, heading in engines.COLUMNS.items():
        if not column_pairs(records, column):
            continue
        s = summary(records, column)
        print(f"  {heading:<22} {s['pairs']:>5} {s['sluice']:>9.2f} {s['llama.cpp']:>9.2f}          {s['ratio']:>6.2f}"
              f"  {s['least']:.2f} to {s['most']:.2f}")
    for line in limits(geometry, mix, records):
        print(line)
    used = {}
    for record in records:
        used.setdefault(record["flags"], set()).add(record["job"])
    for flags, jobs in used.items():
        print(f"  llama.cpp with {flags}: {', '.join(job for job in engines.JOBS if job in jobs)}")


def print_ratios(files: dict) -> None:
    """One row a file, and the geometric mean of each column."""
    columns = [c for c in engines.COLUMNS if any(column_pairs(records, c) for records in files.values())]
    print("\nsluice over llama.cpp, medians of the pairs' ratios")
    print(f"  {'':<28}" + "".join(f" {c:>7}" for c in columns))
    rows = {title: {c: summary(records, c)["ratio"] for c in columns if column_pairs(records, c)}
            for title, records in files.items()}
    for title, row in rows.items():
        print(f"  {title:<28}" + "".join(f" {row[c]:>7.2f}" if c in row else f" {'':>7}" for c in columns))
    means = [geometric_mean([row[c] for row in rows.values() if c in row]) for c in columns]
    print(f"  {'geometric mean':<28}" + "".join(f" {mean:>7.2f}" for mean in means))
