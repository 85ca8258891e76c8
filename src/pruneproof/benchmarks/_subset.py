"""Which of a benchmark's pictures a study takes, and whether they are there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pruneproof.benchmarks import Request
from pruneproof.benchmarks._official import E, Found
from pruneproof.seeds import seed_of


def drawn(pictures: Iterable[str], request: Request, source: Path, noun: str = "pictures") -> tuple[str, ...]:
    """The pictures that a study takes, in the order in which the official files name them.

    Every picture gets a random number from the seed and its id, and those with the smallest are taken. So a smaller
    study is part of a larger one, and a picture that a file lacks changes nothing about the others.

    Args:
        pictures: ids, each as often as a file names it.
        request: how many, and the seed; takes note if there are fewer.
        source: the file that names them.
        noun: what they are, for that note.
    """
    known = tuple(dict.fromkeys(pictures))
    wanted = len(known) if request.images == "all" else request.images
    if wanted > len(known):
        request.faults.too_few = (
            f"{source}: has {len(known)} {noun}, but benchmark.images is {wanted}: lower it, or write `null`"
        )
    if wanted >= len(known):
        return known
    chosen = set(sorted(known, key=lambda picture: (seed_of(request.seed, "subset", picture), picture))[:wanted])
    return tuple(picture for picture in known if picture in chosen)


def without_missing(pictures: Iterable[tuple[str, Found[E]]], request: Request) -> tuple[str, ...]:
    """The files that exist; each of the others is noted at the entry that names it.

    Args:
        pictures: path in `request.folder`, and an entry that names it.
        request: the folder; takes note of what is missing.
    """
    kept = []
    for path, named in pictures:
        if (request.folder / path).is_file():
            kept.append(path)
        else:
            named.note(request.faults, f"picture {request.folder / path} is missing: add it")
    return tuple(kept)
