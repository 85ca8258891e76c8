"""The scenes benchmark as tables."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pruneproof.benchmarks import Benchmark
from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.composition import PIXELS, compose, draw
from pruneproof.benchmarks.scenes.pope import CoOccurrence
from pruneproof.benchmarks.scenes.questions import Examiner
from pruneproof.benchmarks.scenes.vocabulary import surface_forms
from pruneproof.records import Sample
from pruneproof.seeds import generator
from pruneproof.settings import Frozen


class Options(Frozen):
    """The scenes benchmark has no settings of its own."""


def _png(array: NDArray[np.uint8] | NDArray[np.bool_]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def build(images: int, seed: int, options: Options) -> Benchmark:
    """Draw the test scenes of a study and ask about them.

    Args:
        images: number of scenes; the first n scenes of a larger study are the same, but POPE's absent objects follow
            the frequencies of the sampled set, as officially.
        seed: the study's seed.
        options: none so far.
    """
    del options
    scenes = {f"scene_{index:05d}": compose(seed, f"test/{index:06d}") for index in range(images)}
    together = CoOccurrence([facts.present(scene) for scene in scenes.values()])
    image_rows: list[dict[str, Any]] = []
    object_rows: list[dict[str, Any]] = []
    samples: list[Sample] = []
    for image_id, scene in scenes.items():
        drawing = draw(seed, scene)
        image_rows.append(
            {"image_id": image_id, "group": scene.theme, "width": PIXELS, "height": PIXELS, "png": _png(drawing.pixels)}
        )
        for index, (placed, mask, box) in enumerate(zip(scene.objects, drawing.masks, drawing.boxes(), strict=True)):
            x0, y0, x1, y1 = box
            row = {"image_id": image_id, "object_id": index, "noun": placed.noun, "colour": placed.colour}
            object_rows.append(row | {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "mask": _png(mask)})
        samples += Examiner(image_id, scene, generator(seed, "questions", image_id)).all(together)
    return Benchmark(tuple(image_rows), tuple(object_rows), tuple(samples), surface_forms())
