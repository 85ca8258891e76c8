"""Training scenes drawn once and kept as memory-mapped arrays, with the patch labels of the training aids."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from pruneproof.benchmarks.scenes.composition import PIXELS, Drawing, Scene, compose, draw
from pruneproof.benchmarks.scenes.vocabulary import COLOURS, NOUN_NAMES

PATCH = 14
GRID = PIXELS // PATCH
_CHUNK = 100
_LEAST_COVER = 0.12
"""A patch shows a class if that class covers at least this share of it."""


@dataclass(frozen=True, slots=True)
class SceneCache:
    """Scenes of one split; arrays are memory-mapped."""

    split: str
    scenes: tuple[Scene, ...]
    pixels: NDArray[np.uint8]
    """scenes x 224 x 224 x 3."""
    nouns: NDArray[np.uint8]
    """scenes x 256 x 24: 1 where a patch shows the class."""
    colours: NDArray[np.uint8]
    """scenes x 256 x 7."""


def patch_labels(scene: Scene, drawing: Drawing) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Classes and colours that each patch shows: 256 x 24 and 256 x 7."""
    nouns = np.zeros((GRID * GRID, len(NOUN_NAMES)), np.uint8)
    colours = np.zeros((GRID * GRID, len(COLOURS)), np.uint8)
    names = list(COLOURS)
    for placed, mask in zip(scene.objects, drawing.masks, strict=True):
        cover = mask.reshape(GRID, PATCH, GRID, PATCH).mean((1, 3)).reshape(-1) >= _LEAST_COVER
        nouns[cover, NOUN_NAMES.index(placed.noun)] = 1
        colours[cover, names.index(placed.colour)] = 1
    return nouns, colours


def _draw_chunk(folder: str, seed: int, split: str, chunk: int, count: int) -> None:
    target = Path(folder) / f"{split}_{chunk:05d}.npz"
    if target.exists():
        return
    pixels, nouns, colours = [], [], []
    for index in range(chunk * _CHUNK, min(count, (chunk + 1) * _CHUNK)):
        scene = compose(seed, f"{split}/{index:06d}")
        drawing = draw(seed, scene)
        pixels.append(drawing.pixels)
        labels = patch_labels(scene, drawing)
        nouns.append(labels[0])
        colours.append(labels[1])
    temporary = target.with_suffix(".part.npz")
    np.savez(temporary, pixels=np.stack(pixels), nouns=np.stack(nouns), colours=np.stack(colours))
    temporary.replace(target)


def _merge(folder: Path, split: str, chunks: int, count: int) -> None:
    shapes = {
        "pixels": (count, PIXELS, PIXELS, 3),
        "nouns": (count, GRID * GRID, len(NOUN_NAMES)),
        "colours": (count, GRID * GRID, len(COLOURS)),
    }
    parts = [folder / f"{split}_{chunk:05d}.npz" for chunk in range(chunks)]
    temporary = {name: folder / f"{split}_{name}.part" for name in shapes}
    arrays = {
        name: np.lib.format.open_memmap(temporary[name], mode="w+", dtype=np.uint8, shape=shape)
        for name, shape in shapes.items()
    }
    for chunk, part in enumerate(parts):
        with np.load(part) as stored:
            for name, array in arrays.items():
                array[chunk * _CHUNK : chunk * _CHUNK + len(stored[name])] = stored[name]
    for name, array in arrays.items():
        array.flush()
        temporary[name].replace(folder / f"{split}_{name}.npy")
    for part in parts:
        part.unlink()


def load(folder: Path, seed: int, split: str, count: int, processes: int) -> SceneCache:
    """The first `count` scenes of a split, drawn in parallel if they are not in `folder` yet; resumes by chunks."""
    folder = folder / f"{split}_{seed}_{count}"
    if not (folder / f"{split}_colours.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        chunks = -(-count // _CHUNK)
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            jobs = [pool.submit(_draw_chunk, str(folder), seed, split, chunk, count) for chunk in range(chunks)]
            for job in track(jobs, description=f"drawing {count} {split} scenes"):
                job.result()
        _merge(folder, split, chunks, count)
    arrays = {name: np.load(folder / f"{split}_{name}.npy", mmap_mode="r") for name in ("pixels", "nouns", "colours")}
    return SceneCache(split, tuple(compose(seed, f"{split}/{index:06d}") for index in range(count)), **arrays)
