"""One run as MLflow should have it, before anything of MLflow is imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from pruneproof import files
from pruneproof.provenance import file_digest

SCHEMA = "4"
"""Change it when runs are written differently: every run is then recorded again."""
Value = str | int | float
Place = Literal["methods", "conditions"]
"""The experiment of a run: `<study>`, or `<study>.conditions`."""


class Data(NamedTuple):
    """What a result was measured on, as MLflow's UI shows a dataset."""

    name: str
    """`scenes/fog_3`."""
    digest: str
    """32 hexadecimal digits (MLflow takes 36) of everything that was shown and asked."""
    source: str
    """Where it is in the study's folder."""


class Point(NamedTuple):
    """One value of a metric."""

    key: str
    value: float
    step: int = 0
    """Severity, 0 for clean input; of a dialogue the turn."""
    data: Data | None = None
    """What it was measured on; the model of the run's method holds values with it."""


@dataclass(frozen=True)
class PlannedRun:
    """One run as MLflow should have it."""

    place: Place
    cell_id: str
    """What the run is about, such as `builtin_llava/atp_25/fog_3`; with `place` the same in every recording."""
    name: str
    parent: str | None = None
    """Cell id of the parent run, which is in the same place."""
    model: str | None = None
    """Cell id of the run in `methods` whose model the values with data belong to."""
    params: Mapping[str, Value] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    data: tuple[Data, ...] = ()
    """What the run was measured on, as its inputs."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Digests of the files that the result rests on, as tags."""
    artifacts: Mapping[str, Path | str] = field(default_factory=dict)
    """Path in MLflow to a file, or to text."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags that do not identify the result, such as the commit; `{run_id}` in the description is the run's id."""
    figures: Mapping[str, Path] = field(default_factory=dict)
    """Artifacts that do not identify the result, since they show other runs too; new ones take the place of old."""
    seconds: float = 0.0
    """How long it took; 0 if that is not known. It does not identify the result either."""

    @cached_property
    def cell_hash(self) -> str:
        """Digest of what identifies the result: a run with this hash need not be written again."""
        contents = {name: file_digest(a) if isinstance(a, Path) else a for name, a in self.artifacts.items()}
        parts = (SCHEMA, self.cell_id, self.name, self.params, self.points, self.data, self.inputs, contents)
        return files.digest(json.dumps(parts, sort_keys=True).encode())

    @cached_property
    def figures_digest(self) -> str:
        """Digest of the figures' names and bytes."""
        return files.digest(*(f"{name} {file_digest(path)}".encode() for name, path in sorted(self.figures.items())))
