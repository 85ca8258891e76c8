"""The scenes benchmark as tables."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from pruneproof.benchmarks import Benchmark, Card, Request
from pruneproof.benchmarks._samplings import PAIRS, CoOccurrence
from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.composition import PIXELS, compose, draw
from pruneproof.benchmarks.scenes.questions import PER_KIND, Examiner
from pruneproof.benchmarks.scenes.vocabulary import NOUN_NAMES, surface_forms
from pruneproof.errors import PruneProofError
from pruneproof.pictures import encode_png
from pruneproof.records import Sample
from pruneproof.seeds import generator
from pruneproof.settings import Frozen

LICENCE = "Apache-2.0"
"""This project's, which its drawings share."""

CARD = Card(
    title="Scenes",
    source="Drawn by this project, with exact ground truth; `benchmarks/scenes`",
    licence=f"{LICENCE}, as this project",
    size="As many as asked for; up to 21 questions each, and a caption",
    scored_by="Existence by POPE's rule, every other question by the value that it names, captions by CHAIR",
)


class Options(Frozen):
    """How much is asked of each scene: more scenes with fewer questions tell more in the same time, because questions
    about one picture succeed and fail together."""

    pope_pairs: Annotated[int, Field(ge=1, le=PAIRS)] = PAIRS
    """Present and absent objects in each of POPE's three samplings; the official number is 3."""
    per_kind: Annotated[int, Field(ge=1, le=PER_KIND)] = PER_KIND
    """Most questions about colour, about number and about relation."""


def build(request: Request, options: Options) -> Benchmark:
    """Draw the test scenes of a study and ask about them.

    Args:
        request: number of scenes and seed; the first n scenes of a larger study are the same, but POPE's absent objects
            follow the frequencies of the sampled set, as officially.
        options: how much is asked.

    Raises:
        PruneProofError: if all scenes are asked for, of which there is no end.
    """
    seed, images = request.seed, request.images
    if images == "all":
        raise PruneProofError("benchmark.images is null (all), but scenes are drawn without end: give a number")
    scenes = {f"scene_{index:05d}": compose(seed, f"test/{index:06d}") for index in range(images)}
    together = CoOccurrence([facts.present(scene) for scene in scenes.values()], NOUN_NAMES)
    image_rows: list[dict[str, Any]] = []
    object_rows: list[dict[str, Any]] = []
    samples: list[Sample] = []
    for image_id, scene in scenes.items():
        drawing = draw(seed, scene)
        row = {"image_id": image_id, "group": scene.theme, "width": PIXELS, "height": PIXELS}
        image_rows.append(row | {"png": encode_png(drawing.pixels)})
        for index, (placed, mask, box) in enumerate(zip(scene.objects, drawing.masks, drawing.boxes(), strict=True)):
            x0, y0, x1, y1 = box
            row = {"image_id": image_id, "object_id": index, "noun": placed.noun, "colour": placed.colour}
            object_rows.append(row | {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "mask": encode_png(mask)})
        samples += Examiner(image_id, scene, generator(seed, "questions", image_id)).chosen(
            together, options.pope_pairs, options.per_kind
        )
    return Benchmark(tuple(image_rows), tuple(object_rows), tuple(samples), {"vocabulary": surface_forms()})
