"""How many layers a checkpoint's vision tower and language model have, read from its config without its weights."""

from __future__ import annotations

import json
from pathlib import Path


def tower_depth(checkpoint: Path) -> int | None:
    """Layers of the vision tower.

    They are in `vision_config` as `num_hidden_layers`, in Qwen's as `depth`.

    Args:
        checkpoint: a folder made by `save_pretrained`.

    Returns:
        None if the number is unknown: the checkpoint is on the hub or damaged (loading it reports that), or leaves the
        number to its class.
    """
    found = _number(checkpoint, "vision_config", "num_hidden_layers")
    return _number(checkpoint, "vision_config", "depth") if found is None else found


def language_depth(checkpoint: Path) -> int | None:
    """Layers of a LLaVA's language model; argument and None as of `tower_depth`."""
    return _number(checkpoint, "text_config", "num_hidden_layers")


def _number(checkpoint: Path, section: str, key: str) -> int | None:
    try:
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
        depth = config[section][key]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return depth if type(depth) is int else None
