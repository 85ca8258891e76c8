"""What each method costs, as `measure_costs` counted it."""

from __future__ import annotations

import csv
from math import nan
from pathlib import Path

from pruneproof.errors import PruneProofError


def flops_ratios(path: Path, backbone: str, baseline: str) -> dict[str, float]:
    """FLOPs of one question with each method over the baseline's; nothing if a backbone was not counted.

    Args:
        path: `flops.csv`.
        backbone: id.
        baseline: id of the full model.

    Raises:
        PruneProofError: if the file is missing or cannot be read.
    """
    total: dict[str, float] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["backbone"] == backbone:
                    total[row["method"]] = total.get(row["method"], 0.0) + float(row["flops"])
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: run `dvc repro measure_costs`") from None
    except (KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise PruneProofError(f"{path} cannot be read ({error!r}): delete it and run `dvc repro`") from None
    full = total.get(baseline, nan)
    return {method: flops / full for method, flops in total.items()} if full > 0 else {}
