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
from pruneproof.benchmarks.scenes.composition import PIXELS
from pruneproof.errors import PruneProofError
from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.planning.layouts import QWEN, SIGLIP, Layout, layout_of
from pruneproof.settings import BackboneSettings, Study

FAMILIES = ("llava", "llava_next", "blip2", "flamingo", *QWEN, *SIGLIP)
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
    layout: Layout | None = None
    """Of a picture, where its visual tokens depend on its size; None where they are the patches of all crops."""

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
        return self.patches if self.layout is None else self.layout.tokens

    @property
    def patches(self) -> int:
        """That the vision tower reads of one picture."""
        return self.crops * patches(self.vision) if self.layout is None else self.layout.patches

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of visual tokens."""
        return ((self.side, self.side),) * self.crops if self.layout is None else self.layout.grids

    @property
    def width(self) -> int:
        """Of a visual token before the connector."""
        return int(self.vision.hidden_size) * (1 if self.layout is None else self.layout.parts)

    @property
    def around(self) -> int:
        """Tokens of the prompt that stand between a picture's visual ones."""
        return 0 if self.layout is None else self.layout.around

    @property
    def side(self) -> int:
        """Patches on a side of one square, or of one of about as many as a whole picture has."""
        return isqrt(self.patches // self.crops)

    @property
    def pixels(self) -> int:
        """The same side in pixels."""
        return self.side * int(self.vision.patch_size)

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
def shape_of(backbone: BackboneSettings, root: Path, picture: tuple[int, int] = published.PICTURE) -> Shape:
    """The sizes of a backbone.

    Args:
        backbone: its settings.
        root: the project's root, to which local folders are relative.
        picture: width and height in pixels, by which some families have more or fewer visual tokens.

    Raises:
        PruneProofError: if neither its config is here nor its sizes are known, or its processor cannot be read.
    """
    if backbone.family not in FAMILIES:
        raise PruneProofError(
            f"what {backbone.family} computes is not counted beforehand: `plan` without --machine tells the time once "
            "a few batches are answered"
        )
    known = published.CHECKPOINTS.get(backbone.checkpoint)
    source = _source(backbone, root)
    config = None if source is None else _config(backbone, source)
    if config is None and known is None:
        raise PruneProofError(
            f"checkpoint {backbone.checkpoint!r} is not here and its sizes are not known: fetch its config "
            f"(`hf download {backbone.checkpoint} --include '*.json' '*.jinja'`)"
        )
    shapes: Any = known.config if config is None and known is not None else config
    layout = None
    if backbone.family in (*QWEN, *SIGLIP):
        pixels = known.pixels if config is None and known is not None else None
        layout = layout_of(backbone, source, shapes, pixels, picture)
    return Shape(
        backbone.family,
        shapes,
        _clip(backbone, root),
        known.parameters if known else _parameters(config),
        backbone.dtype,
        backbone.language_weights == "int8",
        _crops(shapes) if layout is None else layout.crops,
        layout,
    )


def picture_of(study: Study, folders: Folders) -> tuple[int, int]:
    """Width and height of a study's pictures, the mean; as COCO has most of them, as long as they are not here."""
    path = folders.benchmark / "images.parquet"
    if not path.exists():
        return (PIXELS, PIXELS) if study.benchmark.name == "scenes" else published.PICTURE
    sizes = read_table(path, ["width", "height"])
    width, height = (round(float(sizes[name].to_numpy().mean())) for name in ("width", "height"))
    return width, height


def _source(backbone: BackboneSettings, root: Path) -> str | None:
    """The local folder with its config, or that of the hub's cache; None if it is in neither."""
    folder = root / backbone.checkpoint
    if (folder / "config.json").is_file():
        return str(folder)
    fetched = fetching.fetched(backbone) if backbone.revision else None
    return None if fetched is None else str(fetched)


def _config(backbone: BackboneSettings, source: str) -> Any:
    """The config in a folder."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source, trust_remote_code=False)
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
