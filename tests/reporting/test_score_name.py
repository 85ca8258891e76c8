"""Accuracy is called by another name where nothing but captions is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pruneproof import files
from pruneproof.folders import Folders
from pruneproof.reporting.score_name import score_name


@pytest.mark.parametrize(
    ("metrics", "scorers", "name"),
    [
        (["accuracy/all"], ["coco_captions", "chair"], "CIDEr-D times 100"),
        (["accuracy/all"], ["chair"], "share of a caption's mentions that are true, in %"),
        (["accuracy/all", "accuracy/existence"], ["coco_captions"], "accuracy"),
        (["accuracy/all"], [], "accuracy"),
    ],
)
def test_the_first_score_of_captions_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: list[str], scorers: list[str], name: str
) -> None:
    rows = [{"scorers": f'["{scorer}"]'} for scorer in scorers]
    monkeypatch.setattr(files, "read_rows", lambda path, columns: rows)
    report: Any = SimpleNamespace(chance=pd.DataFrame({"metric": metrics}), folders=Folders(tmp_path))
    assert score_name(report) == name
