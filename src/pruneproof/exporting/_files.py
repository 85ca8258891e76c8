"""How official files are written and their pictures called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pruneproof.benchmarks import Benchmark

INFO: Mapping[str, Any] = {"description": "Scenes drawn by PruneProof, in the format of a published benchmark"}


def numbers(scenes: Benchmark) -> dict[str, int]:
    """The place of each picture, from 0, which files that know numbers alone call it by."""
    return {row["image_id"]: number for number, row in enumerate(scenes.images)}


def coco_name(number: int, ending: str = "png") -> str:
    """A picture's file as COCO calls those of val2014."""
    return f"COCO_val2014_{number:012d}.{ending}"


def to_json(value: Any) -> bytes:
    """A file that is JSON as a whole, on one line as the official ones are."""
    return f"{json.dumps(value, ensure_ascii=False)}\n".encode()
