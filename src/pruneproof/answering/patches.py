"""The stage `locate_patches`: where in the images the visual tokens of every backbone lie.

Image processors crop, stretch, pad or tile, each family in its own way; what kept tokens show of an asked object is
scored without any model, from these boxes.
"""

from __future__ import annotations

from pruneproof import backbones
from pruneproof.files import read_rows, write_rows
from pruneproof.folders import Folders
from pruneproof.records import PATCHES
from pruneproof.settings import Study


def run(study: Study, folders: Folders) -> None:
    """Write `patches/<backbone>.parquet`, a row for every size of picture that the study shows."""
    root = folders.study / study.study.root
    rows = read_rows(folders.benchmark / "images.parquet", ["width", "height"])
    sizes = {(row["width"], row["height"]) for row in rows}
    images = study.perturbations.image
    if images.resolution == "model":
        sizes.add((images.model_pixels, images.model_pixels))
    for name, settings in study.backbones.items():
        boxes = backbones.patch_boxes(settings, root)
        found = [
            {"width": width, "height": height, "boxes": boxes((width, height)).ravel()}
            for width, height in sorted(sizes)
        ]
        write_rows(folders.patches / f"{name}.parquet", found, PATCHES)
