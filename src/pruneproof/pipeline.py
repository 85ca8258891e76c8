"""What DVC needs before it can read a study. It reads every study of the project whichever one is run, and its
message about one that it cannot read says little, so each is checked here first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pruneproof.errors import PruneProofError
from pruneproof.folders import make_command
from pruneproof.problems import model_problems
from pruneproof.settings import Study
from pruneproof.settings_file import parser_said, read_yaml

FILE = "dvc.yaml"
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


def project(folder: Path) -> Path:
    """The folder with `.dvc` that a study belongs to.

    Raises:
        PruneProofError: if there is none.
    """
    place = folder.resolve()
    for parent in (place, *place.parents):
        if (parent / ".dvc").is_dir():
            return parent
    raise PruneProofError(f"{place} is not inside a project: put it under studies/, or run `dvc init --no-scm` in it")


def neighbours(folder: Path) -> list[Path]:
    """The other studies of the project: its own folder and those of `studies/`, in order."""
    root = project(folder)
    studies = sorted(path.parent for path in (root / "studies").glob(f"*/{FILE}"))
    return [place for place in (root, *studies) if (place / FILE).is_file() and place != folder.resolve()]


def broken(folder: Path) -> dict[Path, str]:
    """The neighbours in `studies/` that DVC cannot read, in order, with the reason. Every other study runs without
    them."""
    root = project(folder)
    return {place: why for place in neighbours(folder) if place != root and (why := fault(place))}


def left_out(broken: Iterable[Path]) -> str:
    """The names of studies, and how to find out what is wrong with them."""
    first, *_ = places = list(broken)
    return f"{', '.join(place.name for place in places)} (`{make_command('check', first)}` says why)"


def fault(folder: Path) -> str | None:
    """Why DVC cannot read the study in `folder`, in one line; None if it can."""
    try:
        values, _, problems = read_yaml(folder / "params.yaml")
    except PruneProofError as error:
        return str(error)
    problems += model_problems(Study, values)
    if problems:
        return f"{folder / 'params.yaml'}: {problems[0].path}: {problems[0].what}"
    lacking = absent(folder, values)
    return f"{folder / 'params.yaml'}: {lacking}" if lacking else None


def absent(folder: Path, values: Any) -> str | None:
    """What dvc.yaml tracks and params.yaml leaves at its default; None if there is nothing.

    Args:
        folder: of the study; before `prepare` gives it the project's dvc.yaml, that one counts.
        values: of its params.yaml.
    """
    path = folder / FILE
    if not path.is_file():
        with suppress(PruneProofError):
            path = project(folder) / FILE
    try:
        lacking = sorted({name for name in _followed(path) if not _present(values, name.split("."))})
    except MarkedYAMLError as error:
        return f"{path} is not a pipeline ({parser_said(error)}): copy the project's {FILE} over it"
    except (YAMLError, OSError, UnicodeDecodeError, AttributeError, TypeError, KeyError):
        return f"{path} is not a pipeline: copy the project's {FILE} over it"
    if not lacking:
        return None
    return f"{', '.join(lacking)} must be given, since DVC tracks it: write {_to_add(values, lacking)} for its defaults"


def require_tracked(folder: Path) -> None:
    """Refuse a study without a value that DVC tracks.

    Raises:
        PruneProofError: with the value, and what to write.
    """
    if lacking := absent(folder, read_yaml(folder / "params.yaml")[0]):
        raise PruneProofError(f"{folder / 'params.yaml'}: {lacking}")


def _to_add(values: Any, lacking: Sequence[str]) -> str:
    """What gives absent keys their defaults without touching what is there: `text: {}` under `perturbations`."""
    missing: dict[str, dict[str, Any]] = {}
    for name in lacking:
        way = name.split(".")
        there = max(depth for depth in range(len(way)) if _present(values, way[:depth]))
        inner = missing.setdefault(".".join(way[:there]), {})
        for key in way[there:]:
            inner = inner.setdefault(key, {})
    told = []
    for above, keys in missing.items():
        place = f" under `{above}`" if above else ""
        told += [f"`{key}: {_default(above, key, inner)}`{place}" for key, inner in keys.items()]
    return " and ".join(told)


def _default(above: str, key: str, inner: Mapping[str, Any]) -> str:
    """A section with the given keys, or a value's default, as YAML writes it."""
    way = f"{above}.{key}" if above else key
    if inner:
        return f"{{{', '.join(f'{name}: {_default(way, name, more)}' for name, more in inner.items())}}}"
    model: type[BaseModel] = Study
    for name in way.split("."):
        field = model.model_fields.get(name)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return "{}" if field is None else json.dumps(field.default)
        model = field.annotation
    return "{}"


def _followed(path: Path) -> Iterator[str]:
    """Every key of params.yaml that dvc.yaml names, up to the part that is filled in for each stage."""
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    yield from (name for name in _REFERENCE.findall(text) if name != "item" and not name.startswith("item."))
    for stage in YAML(typ="safe", pure=True).load(text)["stages"].values():
        for name in stage.get("params", ()):
            if isinstance(name, str):
                yield name.partition(".${")[0]


def _present(values: Any, way: list[str]) -> bool:
    for key in way:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True
