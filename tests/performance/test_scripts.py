"""Scripts of `performance` that drive stages from outside, run on as little as they take."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from performance.profile import HOME


def result_of(script: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """What a script writes."""
    output = folder / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", f"performance.{script}", *arguments, "--rounds", "1", "--output", output],
        cwd=HOME,
        env={**os.environ, "PYTHONPATH": f"{HOME / 'src'}{os.pathsep}{HOME}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_the_profile_has_every_part_of_the_model(tmp_path: Path) -> None:
    found = result_of("profile", tmp_path, "--images", "2")["methods"]
    parts = {"vision_tower", "connector", "language_model", "output_head"}
    assert set(found["full"]["tower_included"]["share_by_part"]) == parts
    assert set(found["atp_60"]["tower_included"]["share_by_part"]) == parts | {"text_tower"}
    for method in found.values():
        for case in method.values():
            assert 0 < case["share_of_products"] < case["share_in_forwards"] <= 1
            assert case["share_in_forwards"] == pytest.approx(sum(case["share_by_part"].values()), abs=0.02)


@pytest.mark.slow
def test_both_sides_corrupt_the_same_pictures(tmp_path: Path) -> None:
    found = result_of("corruptions", tmp_path, "--processes", "1", "--scenes", "2", "--photos", "2")
    assert {run["side"] for run in found["runs"]} == {"stage", "plain"}
    assert found["equality"]["scenes_224x224"]["not_equal_to_the_single_picture_function"] == 0
    assert found["equality"]["scenes_224x224"]["largest_distance_from_the_package"] <= 1


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs `pip install .[ray]`")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two workers of one core each need two cores")
def test_both_engines_give_the_same_bytes_with_one_worker_and_with_two(tmp_path: Path) -> None:
    found = result_of("ray_scaling", tmp_path, "--images", "4")
    assert found["same_bytes"]
    assert {(run["engine"], run["workers"]) for run in found["runs"]} == {
        (engine, workers) for engine in ("ray", "pool") for workers in (1, 2)
    }
