"""What would make a family see less of corrupted pictures is said before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pruneproof.folders import Folders
from pruneproof.reading_sizes import GROUPS, pixel_problems, resolution_notes
from pruneproof.settings import Study


@pytest.mark.parametrize(
    ("benchmark", "image", "noted"),
    [
        ("pope", {"names": ["fog"], "resolution": "model"}, ["qwen", "tiles"]),
        ("scenes", {"names": ["fog"], "resolution": "model"}, []),
        ("scenes", {"names": ["fog"], "resolution": "model", "model_pixels": 112}, ["qwen", "tiles"]),
        ("pope", {"names": ["fog"]}, []),
        ("pope", {"resolution": "model"}, []),
    ],
)
def test_families_with_more_tokens_for_larger_pictures_are_told(
    tmp_path: Path, benchmark: str, image: dict[str, Any], noted: list[str]
) -> None:
    families = {"qwen": "qwen3_vl", "tiles": "llava_next", "fixed": "llava"}
    backbones = {name: {"family": family, "checkpoint": "x"} for name, family in families.items()}
    values = {"study": {"name": "x"}, "benchmark": {"name": benchmark}, "methods": {}, "backbones": backbones}
    study = Study.model_validate(values | {"perturbations": {"image": image}})
    assert [name for name, _ in resolution_notes(study, Folders(tmp_path))] == noted


@pytest.mark.parametrize(("family", "side"), GROUPS.items())
def test_a_picture_holds_a_token(tmp_path: Path, family: str, side: int) -> None:
    def told(most: int) -> list[str]:
        own = {"family": family, "checkpoint": "a/b", "pixels": [1, most]}
        return [one.what for one in pixel_problems({"b": own}, tmp_path)]

    assert told(side**2) == []
    assert told(2) == [
        f"[1, 2], but the smallest picture is one group of {side} x {side}, {side**2} pixels: give a larger number"
    ]
