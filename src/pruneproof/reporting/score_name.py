"""What the number that is called accuracy is, where it is no share of right answers."""

from __future__ import annotations

import json

from pruneproof import files
from pruneproof.reporting.report import Report

_SCORES = {"coco_captions": "CIDEr-D times 100", "chair": "share of a caption's mentions that are true, in %"}


def score_name(report: Report) -> str:
    """`accuracy`, or the first score of captions where nothing but captions is asked."""
    if any(str(metric).startswith("accuracy/") and metric != "accuracy/all" for metric in report.chance["metric"]):
        return "accuracy"
    rows = files.read_rows(report.folders.benchmark / "samples.parquet", ["scorers"])[:1]
    named = [json.loads(row["scorers"])[0] for row in rows]
    return _SCORES.get(named[0], named[0]) if named else "accuracy"
