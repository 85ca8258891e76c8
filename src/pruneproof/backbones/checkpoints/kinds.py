"""Whether a checkpoint is of the family that the settings say, told by its config alone."""

from __future__ import annotations

import json
from pathlib import Path

from pruneproof import registry


def model_types(family: str) -> tuple[str, ...]:
    """The `model_type`s that a family loads, read without importing it; none for an unknown family."""
    declared = registry.constants("pruneproof.backbones.families", family).get("MODEL_TYPE", ())
    return (declared,) if isinstance(declared, str) else tuple(declared)


def local_fault(family: str, checkpoint: str, folder: Path) -> str | None:
    """What is wrong with a local checkpoint's family.

    Args:
        family: that the settings say.
        checkpoint: as the settings write it.
        folder: where it lies.

    Returns:
        None if nothing is, or if that cannot be told: the checkpoint is on the hub or damaged, which loading reports.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found = config["model_type"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    known = model_types(family)
    return other_family(checkpoint, found, known) if known and found not in known else None


def other_family(checkpoint: str, found: object, known: tuple[str, ...]) -> str:
    """What to say of a checkpoint whose `model_type` is none of those that its family loads."""
    return f"checkpoint {checkpoint!r} is a {found!r} model, not {' or '.join(known)}: change `family`"
