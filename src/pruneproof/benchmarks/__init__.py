"""Where images, questions and truth come from; each benchmark is one member of this package.

A member exposes

- `Options`, a frozen pydantic model of its own settings (`benchmark.options` of params.yaml);
- `build(images, seed, options) -> Benchmark`;
- if it reads files, `files(options) -> Sequence[Path]`: those files, or folders of them. Relative paths start at
  the study's folder, in which the stages run. They become a dependency of the first stage, so that an edit to one of
  them makes the study ask again.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruneproof import registry
from pruneproof.errors import PruneProofError, failure
from pruneproof.records import Sample
from pruneproof.settings import BenchmarkSettings


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Everything that a study asks and knows, as rows of the tables in `pruneproof.records`."""

    images: tuple[Mapping[str, Any], ...]
    """Rows of `IMAGES`."""
    objects: tuple[Mapping[str, Any], ...]
    """Rows of `OBJECTS`; empty where the benchmark has no masks."""
    samples: tuple[Sample, ...]
    vocabulary: Mapping[str, list[str]]
    """Class to all its surface forms, for CHAIR; empty where the benchmark has no captions."""


def build(settings: BenchmarkSettings, images: int, seed: int) -> Benchmark:
    """What a benchmark shows and asks, as its own `build` gives it.

    Args:
        settings: which benchmark, and its options.
        images: how many.
        seed: of the study, or another one for other pictures.

    Raises:
        PruneProofError: if there is no such benchmark, or a file that it opens cannot be read.
    """
    module = registry.load_module(__name__, settings.name, "benchmark")
    options = module.Options.model_validate(settings.options)
    with _readable(settings.name):
        benchmark: Benchmark = module.build(images, seed, options)
    return benchmark


def input_files(settings: BenchmarkSettings, folder: Path) -> tuple[Path, ...]:
    """Every file that the benchmark declares to read, sorted; those of a folder at any depth, hidden ones left out.

    Args:
        settings: which benchmark, and its options.
        folder: of the study.

    Raises:
        PruneProofError: if there is no such benchmark, or a declared path does not exist or cannot be read.
    """
    module = registry.load_module(__name__, settings.name, "benchmark")
    if not hasattr(module, "files"):
        return ()
    found: set[Path] = set()
    with _readable(settings.name):
        paths = list(module.files(module.Options.model_validate(settings.options)))
    for declared in paths:
        place = folder / declared
        if place.is_dir():
            found.update(path for path in place.rglob("*") if path.is_file() and not _is_hidden(path, place))
        elif place.is_file():
            found.add(place)
        else:
            raise PruneProofError(f"benchmark {settings.name} reads {place}, which is missing: add it")
    return tuple(sorted(found))


@contextmanager
def _readable(benchmark: str) -> Iterator[None]:
    """What a benchmark cannot read, in one line; a full disk is not its fault."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PruneProofError(
            f"benchmark {benchmark!r} cannot read what it needs: {failure(error)}: restore it, or change "
            "`benchmark.options`"
        ) from error


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
