"""How large a backbone is, without its weights: from its config where that is here, else from `published`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from pathlib import Path
from typing import Any

from pruneproof import fetching, published
from pruneproof.backbones.flops.towers import patches
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

FAMILIES = ("llava", "llava_next", "blip2", "flamingo")
"""Those whose work is counted."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Of one number."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A model's sizes."""

    family: str
    config: Any
    """With transformers' names; of published weights only what FLOPs and memory depend on."""
    clip: Mapping[str, Any]
    """open_clip's config of the pair that questions and patches are compared in; empty for a tower that is not CLIP's.
    """
    parameters: int
    dtype: str
    int8: bool = False
    """Whether the language model's weights are held in 8 bits."""
    crops: int = 1
    """Squares that the vision tower reads of one picture."""

    @property
    def vision(self) -> Any:
        """Config of the vision tower."""
        return self.config.vision_config

    @property
    def text(self) -> Any:
        """Config of the language model."""
        return getattr(self.config, "text_config", self.config)

    @property
    def tokens(self) -> int:
        """Visual tokens of the unpruned model, at the door before the connector."""
        return self.crops * patches(self.vision)

    @property
    def side(self) -> int:
        """Patches on a side of one square."""
        return isqrt(patches(self.vision))

    @property
    def space(self) -> int:
        """Dimensions of CLIP's space; 0 without it."""
        return int(self.clip.get("embed_dim", 0))

    @property
    def tower_layers(self) -> int:
        """Of the vision tower."""
        return int(self.vision.num_hidden_layers)

    @property
    def number_bytes(self) -> int:
        """Of one number in memory."""
        return BYTES[self.dtype]


@lru_cache(maxsize=64)
def shape_of(backbone: BackboneSettings, root: Path) -> Shape:
    """The sizes of a backbone.

    Args:
        backbone: its settings.
        root: the project's root, to which local folders are relative.

    Raises:
        PruneProofError: if neither its config is here nor its sizes are known, or its vision tower has no fixed size.
    """
    if backbone.family not in FAMILIES:
        raise PruneProofError(
            f"what {backbone.family} computes is not counted beforehand: `plan` without --machine tells the time once "
            "a few batches are answered"
        )
    known = published.CHECKPOINTS.get(backbone.checkpoint)
    config = _config(backbone, root)
    if config is None and known is None:
        raise PruneProofError(
            f"checkpoint {backbone.checkpoint!r} is not here and its sizes are not known: fetch its config.json "
            f"(`hf download {backbone.checkpoint} config.json`)"
        )
    shapes: Any = known.config if config is None and known is not None else config
    if not hasattr(shapes.vision_config, "image_size"):
        raise PruneProofError(
            f"checkpoint {backbone.checkpoint!r} reads pictures of any size, so its visual tokens are not known "
            "beforehand: `plan` without --machine tells the time once a few batches are answered"
        )
    return Shape(
        backbone.family,
        shapes,
        _clip(backbone, root),
        known.parameters if known else _parameters(config),
        backbone.dtype,
        backbone.language_weights == "int8",
        _crops(shapes),
    )


def _config(backbone: BackboneSettings, root: Path) -> Any:
    """The config in a local folder or the hub's cache; None if it is in neither."""
    from transformers import AutoConfig

    folder = root / backbone.checkpoint
    if (folder / "config.json").is_file():
        where, named = str(folder), {}
    elif backbone.revision and fetching.is_fetched(backbone):
        where, named = backbone.checkpoint, {"revision": backbone.revision, "local_files_only": True}
    else:
        return None
    try:
        return AutoConfig.from_pretrained(where, trust_remote_code=False, **named)
    except (OSError, ValueError) as error:
        raise PruneProofError(f"checkpoint {backbone.checkpoint!r} has no readable config.json: {error}") from error


def _parameters(config: Any) -> int:
    """Parameters of the class that reads a config, which is built without memory."""
    import torch
    from transformers import AutoModelForImageTextToText

    kind: Any = AutoModelForImageTextToText
    with torch.device("meta"):
        model = kind.from_config(config)
    return int(sum(tensor.numel() for tensor in model.parameters()))


def _crops(config: Any) -> int:
    """Of a family that cuts pictures up, the most."""
    grids: Sequence[tuple[int, int]] = getattr(config, "image_grid_pinpoints", None) or ()
    if not grids:
        return 1
    side = int(config.vision_config.image_size)
    return 1 + max((height // side) * (width // side) for height, width in grids)


def _clip(backbone: BackboneSettings, root: Path) -> Mapping[str, Any]:
    import open_clip

    if backbone.text_tower is None:
        return {}
    path = root / backbone.text_tower / "open_clip_config.json"
    if path.is_file():
        own: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        return own
    found: Mapping[str, Any] | None = open_clip.get_model_config(backbone.text_tower)
    if found is None:
        raise PruneProofError(f"text_tower {backbone.text_tower!r} is neither a folder nor a model of open_clip")
    return found
