"""The stage `locate_patches`: where in the images the visual tokens of every backbone lie.

Image processors crop, stretch, pad or tile, each family in its own way; what kept tokens show of an asked object is
scored without any model, from these boxes.
"""

from __future__ import annotations

import logging

from pruneproof import backbones
from pruneproof.files import read_rows, write_rows
from pruneproof.folders import Folders
from pruneproof.patches import Size
from pruneproof.pictures import with_shorter_side
from pruneproof.records import PATCHES
from pruneproof.settings import Study

log = logging.getLogger(__name__)


def run(study: Study, folders: Folders) -> None:
    """Write `patches/<backbone>.parquet`, a row for every size of picture that the study shows."""
    root = folders.study / study.study.root
    rows = read_rows(folders.benchmark / "images.parquet", ["width", "height"])
    sizes = {(row["width"], row["height"]) for row in rows}
    images = study.perturbations.image
    shown = {size: with_shorter_side(size, images.model_pixels) for size in sizes if images.resolution == "model"}
    for name, settings in study.backbones.items():
        boxes = backbones.patch_boxes(settings, root)
        found = {size: boxes(size) for size in sorted(sizes.union(shown.values()))}
        rows = [{"width": width, "height": height, "boxes": own.ravel()} for (width, height), own in found.items()]
        write_rows(folders.patches / f"{name}.parquet", rows, PATCHES)
        other = [(size, at) for size, at in sorted(shown.items()) if len(found[size]) != len(found[at])]
        if other:
            _warn(name, *other[0], len(found[other[0][0]]), len(found[other[0][1]]))


def _warn(backbone: str, size: Size, shown: Size, tokens: int, fewer: int) -> None:
    log.warning(
        "backbone %s reads a picture of %d x %d pixels in %d visual tokens, and in %d once it is corrupted, since "
        "perturbations.image.resolution is `model` and makes it %d x %d: what that costs would be taken for the work "
        "of the corruption; set it to `native`, or model_pixels to the pictures' shorter side",
        backbone, *size, tokens, fewer, *shown,
    )  # fmt: skip
