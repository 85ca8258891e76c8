"""What git keeps: weights, the numbers that a reader of the page needs, and little else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
MB = 10**6


@pytest.fixture(scope="module")
def kept() -> dict[str, int]:
    """Bytes of every file that git keeps, by its path."""
    if not (PROJECT / ".git").exists():
        pytest.skip("a download without git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True)
    paths = [path for path in listed.stdout.split("\0") if (PROJECT / path).is_file()]
    return {path: (PROJECT / path).stat().st_size for path in paths}


def test_a_clone_is_small(kept: dict[str, int]) -> None:
    assert sum(kept.values()) < 60 * MB


def test_only_weights_are_large(kept: dict[str, int]) -> None:
    assert {path: size for path, size in kept.items() if size >= MB and not path.endswith(".safetensors")} == {}


def test_a_new_run_of_a_study_adds_little_to_the_history(kept: dict[str, int]) -> None:
    made: dict[str, int] = {}
    for path, size in kept.items():
        if found := re.fullmatch(r"(studies/\w+/)?(reports/.*|dvc\.lock)", path):
            made[found[1] or ""] = made.get(found[1] or "", 0) + size
    assert {"", "studies/rivals/"} <= made.keys()
    assert max(made.values()) < 3 * MB


def test_pictures_that_git_keeps_are_those_of_the_readme(kept: dict[str, int]) -> None:
    shown = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", (PROJECT / "README.md").read_text(encoding="utf-8")))
    assert {path for path in kept if path.endswith(".png")} == shown
