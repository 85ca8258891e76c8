"""Where images, questions and truth come from; each benchmark is one member of this package.

A member exposes `Options`, a frozen pydantic model of its own settings (`benchmark.options` of params.yaml), and
`build(images, seed, options) -> Benchmark`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pruneproof.records import Sample


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All that a study asks and knows, as rows of the tables in `pruneproof.records`."""

    images: tuple[Mapping[str, Any], ...]
    """Rows of `IMAGES`."""
    objects: tuple[Mapping[str, Any], ...]
    """Rows of `OBJECTS`; empty where the benchmark has no masks."""
    samples: tuple[Sample, ...]
    vocabulary: Mapping[str, list[str]]
    """Class to all its surface forms, for CHAIR; empty where the benchmark has no captions."""
