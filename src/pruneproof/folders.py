"""Where a study keeps its files; a study is a folder with a params.yaml."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folders:
    """All paths of one study."""

    study: Path
    """The folder that holds params.yaml."""

    @property
    def params(self) -> Path:
        """The study's settings."""
        return self.study / "params.yaml"

    @property
    def manifests(self) -> Path:
        """What stages depend on besides the files of other stages: `benchmark.json`, `patches.json`, `costs.json`, and
        `answers/<backbone>.json`."""
        return self.study / "data" / "manifests"

    def manifest_of(self, backbone: str) -> Path:
        """What the answers of one backbone depend on."""
        return self.manifests / "answers" / f"{backbone}.json"

    @property
    def benchmark(self) -> Path:
        """`images.parquet`, `objects.parquet`, `samples.parquet`."""
        return self.study / "data" / "benchmark"

    @property
    def corrupted(self) -> Path:
        """`<condition_id>.parquet` for each image condition, and `manifest.json`."""
        return self.study / "data" / "corrupted"

    @property
    def reworded(self) -> Path:
        """`questions.parquet` and `manifest.json`."""
        return self.study / "data" / "reworded"

    @property
    def patches(self) -> Path:
        """`<backbone>.parquet`."""
        return self.study / "data" / "patches"

    @property
    def answers(self) -> Path:
        """`<backbone>/<method>.parquet`."""
        return self.study / "data" / "answers"

    @property
    def logits(self) -> Path:
        """`<backbone>/<method>.parquet`, apart from the answers because their last digits depend on the machine."""
        return self.study / "data" / "logits"

    def answers_of(self, backbone: str, method: str) -> Path:
        """The table `records.ANSWERS` of one backbone and method."""
        return self.answers / backbone / f"{method}.parquet"

    def logits_of(self, backbone: str, method: str) -> Path:
        """The table `records.LOGITS` of one backbone and method."""
        return self.logits / backbone / f"{method}.parquet"

    @property
    def cells(self) -> Path:
        """The store of finished cells, by fingerprint; not an output of any stage, so a kill loses little."""
        return self.study / "data" / ".cells"

    @property
    def features(self) -> Path:
        """Encoded images, which methods share; safe to delete at any time."""
        return self.cells / "features"

    @property
    def scores(self) -> Path:
        """`per_answer.parquet`, `summary.csv`, `contrasts.csv`."""
        return self.study / "data" / "scores"

    @property
    def costs(self) -> Path:
        """`flops.csv`, `latency.csv`, `machine.json`."""
        return self.study / "data" / "costs"

    @property
    def reports(self) -> Path:
        """Everything a reader opens, and `tracking.json`."""
        return self.study / "reports"


def make_command(target: str, folder: Path) -> str:
    """The command that runs a Makefile target for the study in `folder`: `make repro STUDY=small`."""
    place = folder.resolve()
    return f"make {target} STUDY={shlex.quote(place.name)}" if place.parent.name == "studies" else f"make {target}"
