"""Families that read larger pictures in more visual tokens, and settings that would make them see less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pruneproof.benchmarks.scenes.composition import PIXELS
from pruneproof.files import read_rows
from pruneproof.folders import Folders
from pruneproof.method_checks import declared
from pruneproof.problems import Problem
from pruneproof.settings import Study

TILED = ("llava_next", "llava_onevision", "smolvlm")
"""Families that cut a larger picture into more tiles; those that say `RESIZES` read it in more groups."""
GROUPS: Mapping[str, int] = {"qwen2_5_vl": 28, "qwen3_vl": 32}
"""Side in pixels of a published checkpoint's group, which becomes one visual token."""


def resolution_notes(study: Study, folders: Folders) -> Iterator[tuple[str, str]]:
    """Of each backbone that would read corrupted pictures in other numbers of tokens: its name, and what to say."""
    images = study.perturbations.image
    if images.resolution != "model" or not images.names or _as_large(study, folders):
        return
    for name, backbone in study.backbones.items():
        if backbone.family in TILED or declared(backbone.family).resizes:
            yield (
                name,
                "reads larger pictures in more visual tokens, and perturbations.image.resolution is `model`, so that "
                f"the shorter side of corrupted ones is {images.model_pixels} pixels: what that costs would be taken "
                "for the work of the corruption; set it to `native`, or model_pixels to the pictures' shorter side",
            )


def _as_large(study: Study, folders: Folders) -> bool:
    """Whether no picture would change its size."""
    path = folders.benchmark / "images.parquet"
    if path.exists():
        shorter = {min(row["width"], row["height"]) for row in read_rows(path, ["width", "height"])}
    else:
        shorter = {PIXELS} if study.benchmark.name == "scenes" else set()
    return shorter == {study.perturbations.image.model_pixels}


def pixel_problems(backbones: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    """Most pixels of a picture that are fewer than one visual token takes.

    Args:
        backbones: raw values of `backbones`.
        root: the project's root.
    """
    for name, own in backbones.items():
        pixels = own.get("pixels") if isinstance(own, dict) else None
        if not isinstance(pixels, list) or len(pixels) != 2 or type(pixels[1]) is not int:
            continue
        side = _group(root / str(own.get("checkpoint")), str(own.get("family")))
        if side is not None and pixels[1] < side**2:
            what = (
                f"{pixels}, but the smallest picture is one group of {side} x {side}, {side**2} pixels: give a larger"
            )
            yield Problem(("backbones", name, "pixels"), f"{what} number")


def _group(checkpoint: Path, family: str) -> int | None:
    try:
        read = json.loads((checkpoint / "preprocessor_config.json").read_text(encoding="utf-8"))
        return int(read["patch_size"] * read["merge_size"])
    except (OSError, ValueError, TypeError, KeyError):
        return None if checkpoint.is_dir() else GROUPS.get(family)
