"""Finding a checkpoint and saying exactly which one it is."""

from __future__ import annotations

import json
from pathlib import Path

from pruneproof.errors import PruneProofError
from pruneproof.files import digest
from pruneproof.settings import BackboneSettings


def locate(settings: BackboneSettings, root: Path) -> str:
    """The folder, or the hub name, that `from_pretrained` is given.

    Raises:
        PruneProofError: for a folder without config or weights, or a hub name without a pinned revision.
    """
    folder = root / settings.checkpoint
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise PruneProofError(
                f"checkpoint {folder} has no config.json: it must be a folder made by save_pretrained"
            )
        _require_weights(folder)
        return str(folder)
    if settings.checkpoint.count("/") != 1 or settings.checkpoint.startswith((".", "/")):
        raise PruneProofError(f"checkpoint {settings.checkpoint!r} is neither a folder ({folder}) nor a hub name")
    if settings.revision is None:
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} comes from the hub without a revision: give the commit to pin it "
            f"(if a local folder was meant: {folder} does not exist)"
        )
    return settings.checkpoint


def _require_weights(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    else:
        names = ["model.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise PruneProofError(f"checkpoint {folder} lacks {', '.join(missing)}: copy the missing files")


def checkpoint_digest(settings: BackboneSettings, root: Path) -> str:
    """SHA-256 over the files of checkpoint and text towers, or over their pinned names where they come from a hub."""
    parts = [str(settings.revision).encode(), str(settings.text_tower_pretrained).encode()]
    names = [settings.checkpoint, settings.text_tower]
    if settings.control_text_tower is not None:
        parts.append(str(settings.control_text_tower_pretrained).encode())
        names.append(settings.control_text_tower)
    for name in names:
        folder = root / name
        if not folder.is_dir():
            parts.append(name.encode())
            continue
        for path in sorted(folder.iterdir()):
            if path.suffix in {".json", ".jinja", ".safetensors", ".txt", ".model"} and path.name != "training.json":
                parts += [path.name.encode(), path.read_bytes()]
    return digest(*parts)
