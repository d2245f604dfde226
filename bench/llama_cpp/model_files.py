"""Models of random weights that a benchmark makes once and finds again."""

import subprocess
from pathlib import Path

import geometry as shapes
import llama_build
import make_gguf
import router


def folder() -> Path:
    """Where they lie."""
    models = llama_build.cache() / "models"
    models.mkdir(parents=True, exist_ok=True)
    return models


def gguf(geometry: str, layers: int, mix: str, skew: str = "uniform") -> Path:
    """So many layers of a published model's geometry, of a format, whose router is uniform or zipf:ALPHA."""
    suffix = "" if skew == "uniform" else "." + skew.replace(":", "")
    file = folder() / f"{geometry}.{layers}.{mix}{suffix}.gguf"
    if not file.exists():
        print(f"writing {file.name}", flush=True)
        part = file.with_suffix(".part")
        make_gguf.write(part, shapes.cut(shapes.GEOMETRIES[geometry], layers), mix, alpha=router.parse(skew))
        part.rename(file)
    return file


def engine_directory(model: Path, build: Path) -> Path:
    """What `sluice build` makes of it, beside it."""
    directory = model.with_suffix(".sluice")
    if not directory.exists():
        print(f"building {directory.name}", flush=True)
        subprocess.run([build / "bin/sluice", "build", model, directory], check=True)
    return directory
