"""The file of results: what was measured under which conditions; rounds can be added to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from performance._lmms_ratios import Agreement, Case, Run, ratios

from pruneproof.errors import PruneProofError


@dataclass(slots=True)
class Result:
    """What is measured, in the order in which it was."""

    conditions: dict[str, Any]
    """Machine, versions, weights, rows: rounds are only added where these are the same."""
    settings: dict[str, Any] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    agreements: dict[str, Agreement] = field(default_factory=dict)

    def agree(self, found: Agreement) -> None:
        """Note an agreement, and keep the worst of a case."""
        key = f"{found.questions}/{found.method}"
        if key not in self.agreements or found.equal < self.agreements[key].equal:
            self.agreements[key] = found

    def as_json(self) -> dict[str, Any]:
        """The file's content."""
        return {
            **self.conditions,
            "lmms_eval_settings": self.settings,
            "ratios": [
                {
                    **asdict(ratio.case),
                    "counted": ratio.counted,
                    "median": round(ratio.median, 2),
                    "low": round(min(ratio.values), 2),
                    "high": round(max(ratio.values), 2),
                    "goal": ratio.goal,
                }
                for ratio in ratios(self.runs)
            ],
            "agreement": {key: asdict(found) for key, found in self.agreements.items()},
            "runs": [asdict(run) for run in self.runs],
        }

    @classmethod
    def read(cls, path: Path, conditions: Mapping[str, Any]) -> Result:
        """An earlier result under the same conditions.

        Raises:
            PruneProofError: naming what is different.
        """
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise PruneProofError(f"--add: there is no {path}: leave --add out") from None
        off = [name for name, value in conditions.items() if stored.get(name) != value]
        if off:
            said = ", ".join(f"{name} was {stored.get(name)!r} and is {conditions[name]!r}" for name in off)
            raise PruneProofError(f"--add: {path} was measured under other conditions: {said}")
        runs = [Run(**{**run, "case": _case(run["case"])}) for run in stored["runs"]]
        agreements = {
            key: Agreement(**{**found, "different": tuple(found["different"])})
            for key, found in stored["agreement"].items()
        }
        return cls(dict(conditions), stored["lmms_eval_settings"], runs, agreements)


def _case(stored: Mapping[str, Any]) -> Case:
    return Case(stored["questions"], tuple(stored["methods"]), stored["threads"])
