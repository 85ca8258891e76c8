"""COCO's files, which several benchmarks read."""

from __future__ import annotations

from pruneproof.benchmarks import Need


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
