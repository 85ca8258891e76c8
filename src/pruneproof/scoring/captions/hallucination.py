"""CHAIR: which objects a caption mentions that are not there (Rohrbach et al., 2018; LisaAnne/Hallucination)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class CaptionCounts(NamedTuple):
    """What CHAIR counts in one caption."""

    mentioned: int
    """Object mentions; repeats count."""
    hallucinated: int
    """Mentions of objects that are not in the image; repeats count."""
    recalled: int
    """Different true classes that are mentioned."""
    true: int
    """Different true classes."""


def count(named: Sequence[str], present: Collection[str]) -> CaptionCounts:
    """Count one caption.

    Args:
        named: the classes it mentions with repeats, from `matching.mentions`.
        present: classes in the image. The official code adds the objects that five human captions mention, because
            its annotations are incomplete; a complete ground truth needs no such help.
    """
    truth = set(present)
    return CaptionCounts(
        mentioned=len(named),
        hallucinated=sum(name not in truth for name in named),
        recalled=len(truth.intersection(named)),
        true=len(truth),
    )


def ratios(counts: Floats) -> dict[str, tuple[Floats, Floats]]:
    """CHAIR's numbers as (numerator, denominator) of every caption: sum both over captions, then divide.

    `i`: hallucinated mentions over all mentions (0/0, nan, if nothing is mentioned); `s`: captions with at least one
    hallucinated mention over captions; `recall`: true classes mentioned over true classes.

    Args:
        counts: `CaptionCounts` as the last axis, (..., 4).
    """
    mentioned, hallucinated, recalled, true = np.moveaxis(np.asarray(counts, float), -1, 0)
    captions = np.ones(mentioned.shape)
    return {
        "i": (hallucinated, mentioned),
        "s": ((hallucinated > 0).astype(float), captions),
        "recall": (recalled, true),
    }
