"""How MLflow's UI shows an experiment when it is opened by a link: which columns, in which order, sorted by what.

Its page of runs reads such a view from a tag of the experiment, where its button *Share* writes it. Other versions of
MLflow may show the experiment with their own columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pruneproof.tracking.planned import Place

TAG = "mlflow.sharedViewState."
"""Beginning of the experiment tag that holds a view."""
VALID = "tags.superseded_by IS NULL"


@dataclass(frozen=True, slots=True)
class View:
    """A table of runs."""

    key: str
    """Its name in the link."""
    answers: str
    """What it is for, in words that stand before the link."""
    columns: Mapping[str, int]
    """Column beside the run's name, in order, to its width in pixels."""
    sort_by: str
    """One of the columns, the largest value first."""
    chosen: str
    """Which runs it lists, as a filter of MLflow."""

    def state(self) -> str:
        """The tag's value."""
        name = _column("attributes", "Run Name")
        state: dict[str, object] = {
            "searchFilter": self.chosen,
            "orderByKey": self.sort_by,
            "orderByAsc": False,
            "selectedColumns": list(self.columns),
            "columnOrder": [name, *self.columns],
            "columnWidths": {name: NAME_WIDTH, **self.columns},
            "runsHiddenMode": "SHOW_ALL",
        }
        return json.dumps(state)


NAME_WIDTH = 240


def _column(kind: str, name: str) -> str:
    """A column's name in the UI."""
    return f"{kind}.`{name}`"


VIEWS: Mapping[Place, View] = {
    "methods": View(
        "holds-up",
        "Which method holds up best",
        {
            _column("metrics", "headline/effective_robustness"): 185,
            _column("metrics", "low/effective_robustness"): 160,
            _column("metrics", "high/effective_robustness"): 160,
            _column("metrics", "headline/accuracy_clean"): 165,
            _column("metrics", "headline/hallucination_matched"): 195,
            _column("metrics", "headline/flops_ratio"): 130,
            _column("params", "kind"): 110,
            _column("params", "keep"): 80,
        },
        # By the interval's lower end: the largest value may be the one that is least certain.
        _column("metrics", "low/effective_robustness"),
        VALID,
    ),
    "conditions": View(
        "conditions",
        "Where they lose most, condition by condition",
        {
            _column("params", "perturbation"): 180,
            _column("params", "severity"): 90,
            _column("metrics", "accuracy/all"): 130,
            _column("metrics", "hallucination/matched"): 170,
            _column("metrics", "robust/drop_all"): 130,
            _column("attributes", "Dataset"): 260,
        },
        _column("metrics", "robust/drop_all"),
        f"{VALID} AND tags.level = 'condition'",
    ),
}


def link(base: str, experiment_id: str, key: str) -> str:
    """The address of an experiment's table in a UI.

    Args:
        base: address of the server.
        experiment_id: MLflow's.
        key: of the view.
    """
    return (
        f"{base.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={key}"
    )
