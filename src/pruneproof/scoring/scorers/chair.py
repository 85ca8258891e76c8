"""CHAIR as its authors score it: which objects of COCO a caption mentions that are not in the picture.

Rohrbach et al., 2018; LisaAnne/Hallucination, `utils/chair.py`. Repeats count, and CHAIR_i is one ratio over all
captions, not the mean of theirs.

Facts: `objects`, classes in the picture, from `mentions.objects.in_picture`; `lexicon`, word -> class, from
`mentions.objects.lexicon`, shared by all samples. With `vocabulary` in its place, class -> all its forms, captions are
searched for exactly those (`scoring.matching.mentions`): for drawn scenes, whose classes are not COCO's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np

from pruneproof.mentions import objects
from pruneproof.scoring.captions import hallucination
from pruneproof.scoring.matching import mentions, surface_forms
from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth

TITLE = "CHAIR"

_BETWEEN = ", "


def read(text: str, truth: Truth) -> Reading:
    """The classes that a caption mentions, in order and with repeats."""
    vocabulary = truth.facts.get("vocabulary")
    named = mentions(text, surface_forms(vocabulary)) if vocabulary else objects.mentioned(text, truth.facts["lexicon"])
    return Reading(_BETWEEN.join(named), bool(named))


def mark(prediction: str, truth: Truth) -> float:
    """Share of the mentions that are true; nan if nothing is mentioned."""
    counts = _count(prediction, truth)
    return 1 - counts.hallucinated / counts.mentioned if counts.mentioned else nan


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """CHAIR_i (`i`), CHAIR_s (`s`) and recall of the classes in the picture (`recall`)."""
    counts = np.array([_count(said, truth) for said, truth in zip(predictions, truths, strict=True)], float)
    return hallucination.ratios(counts.reshape(-1, len(hallucination.CaptionCounts._fields)))


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """CHAIRs and CHAIRi in per cent as `print_metrics` gives them; nan where the script divides by zero and stops."""
    found = ratios(predictions, marks, truths)
    sums = {name: (float(above.sum()), float(below.sum())) for name, (above, below) in found.items()}
    return {
        printed: round(100 * sums[name][0] / sums[name][1], 1) if sums[name][1] else nan
        for printed, name in (("CHAIRs", "s"), ("CHAIRi", "i"))
    }


def _count(prediction: str, truth: Truth) -> hallucination.CaptionCounts:
    named = prediction.split(_BETWEEN) if prediction else []
    return hallucination.count(named, truth.facts["objects"])
