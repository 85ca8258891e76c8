"""COCO's pictures and annotations, which several benchmarks read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pruneproof.benchmarks import Need
from pruneproof.benchmarks._coco_masks import mask_of
from pruneproof.benchmarks._faults import Faults
from pruneproof.benchmarks._official import Entry, FileName, Found, Text, listed, read_json, unique
from pruneproof.mentions.objects import Lexicon
from pruneproof.pictures import encode_png


class Picture(Entry):
    """One of `images`."""

    id: int
    file_name: FileName
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


class Category(Entry):
    """One of `categories`."""

    id: int
    name: Text


class Instance(Entry):
    """One of `annotations`: an object in a picture."""

    image_id: int
    category_id: int
    bbox: Annotated[list[float], Field(min_length=4, max_length=4)]
    """Left, top, width and height in pixels."""
    segmentation: Any = None
    """For `_coco_masks.mask_of`, which says whether it is one."""


class Caption(Entry):
    """One of `annotations` of a file of captions."""

    image_id: int
    caption: str


@dataclass(frozen=True, slots=True)
class Instances:
    """A file of COCO's instances."""

    pictures: Mapping[int, Found[Picture]]
    """By id, in the file's order."""
    names: Mapping[int, str]
    """Of categories, by id."""
    objects: Mapping[int, Sequence[Found[Instance]]]
    """Of each picture that has any, by its id, in the file's order."""


def read_instances(file: Path, faults: Faults) -> Instances:
    """Pictures and their objects.

    Args:
        file: such as `instances_val2014.json`.
        faults: takes note of what cannot be used, such as an object of a picture that the file does not list.

    Raises:
        OSError: if the file cannot be read.
        PruneProofError: if it is not JSON, or another file.
    """
    content = read_json(file, faults)
    found = unique(listed(file, content, Picture, faults, "images"), "id", faults)
    pictures = {item.entry.id: item for item in unique(found, "file_name", faults)}
    categories = unique(listed(file, content, Category, faults, "categories"), "id", faults)
    names = {item.entry.id: item.entry.name for item in categories}
    objects: dict[int, list[Found[Instance]]] = defaultdict(list)
    for item in listed(file, content, Instance, faults, "annotations"):
        if item.entry.image_id not in pictures:
            item.note(faults, f"image_id {item.entry.image_id} is not among the file's images")
        elif item.entry.category_id not in names:
            item.note(faults, f"category_id {item.entry.category_id} is not among the file's categories")
        else:
            objects[item.entry.image_id].append(item)
    return Instances(pictures, names, objects)


def read_captions(file: Path, faults: Faults) -> Mapping[int, Sequence[str]]:
    """What people wrote about each picture, by its id, in the file's order.

    Args:
        file: such as `captions_val2014.json`.
        faults: takes note of what cannot be used.

    Raises:
        OSError: if the file cannot be read.
        PruneProofError: if it is not JSON, or another file.
    """
    written: dict[int, list[str]] = defaultdict(list)
    for item in listed(file, read_json(file, faults), Caption, faults, "annotations"):
        written[item.entry.image_id].append(item.entry.caption)
    return written


def object_rows(
    instances: Instances, picture: int, known: Lexicon, outlined: Collection[str], faults: Faults
) -> list[dict[str, Any]]:
    """The objects of a picture as rows of `records.OBJECTS`, in the file's order.

    A few of COCO's boxes have no area; these objects are left out.

    Args:
        instances: of the file.
        picture: id of the picture.
        known: category -> what it is called; others keep their name.
        outlined: names of the objects that get a mask.
        faults: takes note of a segmentation that is none.
    """
    entry = instances.pictures[picture].entry
    width, height = entry.width, entry.height
    rows = []
    for number, item in enumerate(instances.objects.get(picture, ())):
        left, top, wide, high = item.entry.bbox
        x0, x1 = (min(max(x, 0), width) for x in (left, left + wide))
        y0, y1 = (min(max(y, 0), height) for y in (top, top + high))
        if x0 >= x1 or y0 >= y1:
            continue
        name = instances.names[item.entry.category_id]
        noun, mask = known.get(name, name), b""
        if noun in outlined:
            try:
                mask = encode_png(mask_of(item.entry.segmentation, width, height))
            except ValueError as error:
                item.note(faults, f"segmentation {error}")
        row = {"image_id": entry.file_name, "object_id": number, "noun": noun, "colour": ""}
        rows.append(row | {"x0": float(x0), "y0": float(y0), "x1": float(x1), "y1": float(y1), "mask": mask})
    return rows


def pictures_of_val2014(path: str) -> Need:
    """The 40,504 pictures of COCO val2014.

    Args:
        path: their folder, relative to `benchmark.folder`.
    """
    return Need(
        path,
        "http://images.cocodataset.org/zips/val2014.zip",
        6_645_013_297,
        what="unpack val2014.zip and let this be its folder, or a link to it; pictures that are not asked about may be "
        "left out",
    )


def annotations_of_2014(path: str) -> Need:
    """One file of COCO's annotations of 2014.

    Args:
        path: such as `annotations/instances_val2014.json`, relative to `benchmark.folder`.
    """
    return Need(
        path,
        "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
        0,
        what="unpack annotations_trainval2014.zip (252,872,794 bytes) and put this file of it here",
    )
