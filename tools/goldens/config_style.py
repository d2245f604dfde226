"""config.json in the ways that files on users' disks are written.

new:   transformers 5: one object rope_parameters, with rope_theta in it; dtype.
old:   transformers 4: rope_theta at the top, rope_scaling null or an object with rope_type; torch_dtype; qwen3_moe's
       num_experts, which transformers 5 writes as num_local_experts.
older: as old, but rope_scaling names its kind "type" (before 4.45).
"""

import json
from pathlib import Path

from case import Case

WRITERS = {"old": "4.57.1", "older": "4.38.0"}  # transformers_version, as such files carry it


def file_name(style: str) -> str:
    return f"config.{style}.json"


def _in_style(config: dict, style: str) -> dict:
    if style == "new":
        return config
    config = dict(config)
    rope = dict(config.pop("rope_parameters"))
    config["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    kind_key = "type" if style == "older" else "rope_type"
    config["rope_scaling"] = None if kind == "default" else {kind_key: kind} | rope
    if config["model_type"] == "qwen3_moe":
        config["num_experts"] = config.pop("num_local_experts")
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = WRITERS[style]
    return config


def write(case: Case, folder: Path) -> None:
    """Replaces the config.json that save_pretrained wrote by the case's styles."""
    written = json.loads((folder / "config.json").read_text())
    names = {"config.json": case.rope_style} | {file_name(style): style for style in case.also}
    for name, style in names.items():
        config = _in_style(written, style)
        config = {key: value for key, value in config.items() if key not in case.absent}
        (folder / name).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
