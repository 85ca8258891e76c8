"""Finding weights, refusing those that must not be read, and identifying them exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pruneproof.digests import Digests
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

INDEX = "model.safetensors.index.json"
PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
"""Suffixes of weights that run code when they are read; nothing here reads them."""
_UNREAD = PICKLES | {".csv", ".md", ".pdf", ".png", ".svg"}
"""Suffixes of files that no loader opens."""
_OF_TRAINING = "training.json"
"""How a built-in model was made."""


_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
"""One of which every tokenizer of these families has."""


def locate(settings: BackboneSettings, root: Path) -> str:
    """The folder, or the hub name, that `from_pretrained` is given.

    Raises:
        PruneProofError: for a folder without config, safetensors weights, image processor or tokenizer, or a hub name
            without a pinned revision.
    """
    folder = root / settings.checkpoint
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise PruneProofError(
                f"checkpoint {folder} has no config.json: it must be a folder made by save_pretrained"
            )
        _require_weights(folder)
        _require_processor(folder)
        return str(folder)
    if settings.checkpoint.count("/") != 1 or settings.checkpoint.startswith((".", "/")):
        raise PruneProofError(f"checkpoint {settings.checkpoint!r} is neither a folder ({folder}) nor a hub name")
    if settings.revision is None:
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} comes from the hub without a revision: give the commit to pin it; "
            f"`git ls-remote https://huggingface.co/{settings.checkpoint} HEAD` prints the newest "
            f"(if a local folder was meant: {folder} does not exist)"
        )
    return settings.checkpoint


def _require_weights(folder: Path) -> None:
    if (folder / "model.safetensors").is_file():
        return
    index = folder / INDEX
    if index.is_file():
        names = _shards(index)
    else:
        if pickles := _pickles(folder):
            raise PruneProofError(
                f"checkpoint {folder} holds its weights as a pickle ({pickles[0].name}), which runs code when it is "
                "read: if you trust it, convert it with transformers, `AutoModelForImageTextToText.from_pretrained("
                "folder, dtype='auto', use_safetensors=False).save_pretrained(folder)`"
            )
        names = ["model.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise PruneProofError(f"checkpoint {folder} lacks {', '.join(missing)}: copy the missing files")


def _require_processor(folder: Path) -> None:
    """Refuse a folder that does not say how pictures and texts are read; transformers would speak of the hub."""
    # Newer checkpoints have the image processor inside processor_config.json, older ones have other things there.
    within = folder / "processor_config.json"
    if not (folder / "preprocessor_config.json").is_file() and '"image_processor"' not in _text(within):
        raise PruneProofError(
            f"checkpoint {folder} has no preprocessor_config.json, which says how pictures are read: copy it from "
            "where the weights come from"
        )
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise PruneProofError(
            f"checkpoint {folder} has no tokenizer ({' or '.join(_TOKENIZERS)}): copy it from where the weights "
            "come from"
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _shards(index: Path) -> list[str]:
    """The files that an index of shards names."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PruneProofError(f"{index} is not an index of shards (JSON with a weight_map): restore it") from None
    if not names:
        raise PruneProofError(f"{index} names no shard: restore it")
    for name in names:
        if not isinstance(name, str) or not name.endswith(".safetensors") or Path(name).name != name:
            raise PruneProofError(
                f"{index} names {name!r}, which is not a safetensors file beside it: save the model again with "
                "`save_pretrained`, or restore the index"
            )
    return names


def require_tower(folder: Path, key: str) -> None:
    """Refuse a local CLIP of which open_clip would read no safetensors file.

    It takes `open_clip_model.safetensors`, then `open_clip_pytorch_model.safetensors` before any pickle, but other
    names only if no pickle has a name that it looks for.

    Source: open_clip `factory.py::_find_checkpoint_in_dir`.

    Args:
        folder: as open_clip saves it.
        key: what the settings call it.

    Raises:
        PruneProofError: if there are no weights, or pickles that may be read instead.
    """
    first = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
    if any((folder / name).is_file() for name in first):
        return
    if pickles := _pickles(folder):
        raise PruneProofError(
            f"{key} {folder} holds weights as a pickle ({pickles[0].name}), which runs code when it is read: if you "
            'trust it, convert it there, `python -c "import torch; from safetensors.torch import save_file; '
            f"save_file({{k: v.clone() for k, v in torch.load('{pickles[0].name}', weights_only=True).items()}}, "
            f"'{first[0]}')\"`"
        )
    if not any(folder.glob("*.safetensors")):
        raise PruneProofError(f"{key} {folder} has no weights ({first[0]}): restore them")


def _pickles(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in PICKLES)


def readable_files(folder: Path) -> list[Path]:
    """Every file of a folder of weights that a loader may open, sorted: all but pickles, cards and their figures."""
    found = [*folder.iterdir(), *folder.glob("additional_chat_templates/*")]
    return sorted(
        path
        for path in found
        if path.is_file() and path.suffix not in _UNREAD and path.name != _OF_TRAINING and not path.name.startswith(".")
    )


def weights(settings: BackboneSettings, root: Path, digests: Digests) -> dict[str, Any]:
    """Which weights a backbone is loaded from: digests of the files, or the pinned name of what comes from a hub.

    The location of a folder is not part of it, so weights may be moved.

    Args:
        settings: of the backbone.
        root: the project's root, to which local folders are relative.
        digests: the digests of files.

    Returns:
        JSON values by `checkpoint`, `text_tower` and `control_text_tower`.

    Raises:
        PruneProofError: as `locate` and `require_tower`.
    """
    folder, source = root / settings.checkpoint, locate(settings, root)
    published: Any = {"name": source, "revision": settings.revision}
    found = {"checkpoint": _contents(folder, digests) if folder.is_dir() else published}
    for key in ("text_tower", "control_text_tower"):
        name, tag = getattr(settings, key), getattr(settings, f"{key}_pretrained")
        if name is not None and (root / name).is_dir():
            require_tower(root / name, key)
            found[key] = _contents(root / name, digests)
        elif name is not None:
            found[key] = {"name": name, "pretrained": tag}
    return found


def _contents(folder: Path, digests: Digests) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): digests.of(path) for path in readable_files(folder)}
