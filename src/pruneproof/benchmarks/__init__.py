"""Where images, questions and truth come from; each benchmark is one member of this package.

A member exposes

- `CARD`, what it is, as a `Card`;
- `Options`, a frozen pydantic model of its own settings (`benchmark.options` of params.yaml);
- `build(request, options) -> Benchmark`;
- if it reads files, `needs(options) -> Sequence[Need]`: those files, or folders of them, as their authors publish them.
  They become a dependency of the first stage, so that an edit to one of them makes the study ask again, and `check`
  says which are missing and where they come from.
- if its authors' script or test server reads answers from a file, `results(answers, options, name)`, which gives that
  file's official name and its content: `answers` are pairs of sample and text, `name` is the model's.
- if its scores need pycocoevalcap's Java, `programs(options) -> Sequence[str]`: which of `ptb`, `meteor` and `spice`.

To add one, write one such module. Its samples name the rules that judge them (`scoring.scorers`).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pruneproof import registry
from pruneproof.benchmarks._faults import Faults, refuse
from pruneproof.errors import PruneProofError, failure
from pruneproof.records import Sample
from pruneproof.settings import BenchmarkSettings


@dataclass(frozen=True, slots=True)
class Card:
    """What a benchmark is, for `check`, the report and whoever cites it."""

    title: str
    source: str
    """Paper and official repository."""
    licence: str
    size: str
    """Pictures and questions of the official set."""
    scored_by: str
    """The rules in words, and whose code they follow."""


@dataclass(frozen=True, slots=True)
class Need:
    """A file, or a folder of files, that a benchmark reads."""

    path: str
    """Relative to `benchmark.folder`."""
    url: str
    """Where its authors publish it."""
    bytes: int
    """Size on disk; 0 if unknown."""
    sha256: str = ""
    """Digest, where it is known; empty for a folder."""
    what: str = ""
    """What to do with a download, such as `unpack val2014.zip here`."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a study asks of a benchmark."""

    images: int | Literal["all"]
    """How many, drawn by picture."""
    seed: int
    """Of the study, or another one for other pictures."""
    folder: Path = Path()
    """Where the authors' files lie."""
    faults: Faults = field(default_factory=Faults)
    """Takes note of lines that cannot be used; each is left out and the reading goes on."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Everything that a study asks and knows, as rows of the tables in `pruneproof.records`."""

    images: tuple[Mapping[str, Any], ...]
    """Rows of `IMAGES`: with `png`, or with `file`, a path in `Request.folder`. A row with a file may lack width and
    height, which are then read from it."""
    objects: tuple[Mapping[str, Any], ...]
    """Rows of `OBJECTS`; empty where the benchmark has no masks."""
    samples: tuple[Sample, ...]
    shared: Mapping[str, Any] = field(default_factory=dict)
    """Facts that the scorers of all samples need, beside each sample's own: a vocabulary, document frequencies."""
    left_out: tuple[str, ...] = ()
    """Lines and pictures that could not be used, where `on_bad_sample` is `skip`: filled by `build` below."""
    too_few: str = ""
    """What to say of a study that asks for more pictures than there are; filled likewise."""


def build(settings: BenchmarkSettings, seed: int, folder: Path, images: int | None = None) -> Benchmark:
    """What a benchmark shows and asks, as its own `build` gives it.

    Args:
        settings: which benchmark, and its options.
        seed: of the study, or another one for other pictures.
        folder: of the study, at which relative paths start.
        images: how many; None for what the settings say.

    Raises:
        PruneProofError: if there is no such benchmark, a file that it opens cannot be read, or a line of one cannot be
            used and `on_bad_sample` is `error`.
    """
    module = registry.load_module(__name__, settings.name, "benchmark")
    options = module.Options.model_validate(settings.options)
    faults = Faults()
    wanted: int | Literal["all"] = images or settings.images or "all"
    with _readable(settings.name):
        benchmark: Benchmark = module.build(Request(wanted, seed, folder / settings.folder, faults), options)
    if settings.on_bad_sample == "error":
        refuse(settings.name, [faults.too_few, *faults.lines] if faults.too_few else faults.lines)
    return replace(benchmark, left_out=tuple(faults.lines), too_few=faults.too_few)


def needs(settings: BenchmarkSettings) -> tuple[Need, ...]:
    """What a benchmark reads.

    Raises:
        PruneProofError: if there is no such benchmark.
    """
    module = registry.load_module(__name__, settings.name, "benchmark")
    if not hasattr(module, "needs"):
        return ()
    with _readable(settings.name):
        found: Sequence[Need] = module.needs(module.Options.model_validate(settings.options))
    return tuple(found)


def programs(settings: BenchmarkSettings) -> tuple[str, ...]:
    """Which of pycocoevalcap's programs its scores need.

    Raises:
        PruneProofError: if there is no such benchmark.
    """
    module = registry.load_module(__name__, settings.name, "benchmark")
    if not hasattr(module, "programs"):
        return ()
    return tuple(module.programs(module.Options.model_validate(settings.options)))


def card(name: str) -> Card:
    """What a benchmark is.

    Raises:
        PruneProofError: if there is no such benchmark.
    """
    found: Card = registry.load_module(__name__, name, "benchmark").CARD
    return found


def input_files(settings: BenchmarkSettings, folder: Path) -> tuple[Path, ...]:
    """Every file that the benchmark declares to read, sorted; those of a folder at any depth, hidden ones left out.

    Args:
        settings: which benchmark, and its options.
        folder: of the study.

    Raises:
        PruneProofError: if there is no such benchmark, or a declared path does not exist or cannot be read.
    """
    found: set[Path] = set()
    with _readable(settings.name):
        for need in needs(settings):
            place = folder / settings.folder / need.path
            if place.is_dir():
                found.update(path for path in place.rglob("*") if path.is_file() and not _is_hidden(path, place))
            elif place.is_file():
                found.add(place)
            else:
                raise PruneProofError(f"benchmark {settings.name} reads {place}, which is missing: add it ({need.url})")
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
