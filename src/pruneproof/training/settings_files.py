"""Settings of trainings: reading them, and holding checkpoints to them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pruneproof.errors import PruneProofError
from pruneproof.files import write_text
from pruneproof.settings import Frozen
from pruneproof.settings_file import read_yaml

Model = TypeVar("Model", bound=Frozen)


def read(path: Path, model: type[Model]) -> Model:
    """Read and validate a training's settings.

    Raises:
        PruneProofError: naming every problem.
    """
    values, _, repeated = read_yaml(path)
    problems = [f"{'.'.join(map(str, problem.where))}: {problem.what}" for problem in repeated]
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
    if problems:
        raise PruneProofError(f"{path}: {'; '.join(problems)}")
    return settings


def require_same(work: Path, text: str) -> None:
    """Refuse to continue checkpoints of other settings.

    Args:
        work: folder of the checkpoints; the settings are written there.
        text: the settings.

    Raises:
        PruneProofError: if the folder's settings are others.
    """
    note = work / "settings.json"
    if note.exists() and note.read_text(encoding="utf-8") != text:
        raise PruneProofError(f"{work} holds checkpoints of other settings: delete the folder to train anew")
    write_text(note, text)
