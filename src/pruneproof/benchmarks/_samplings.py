"""POPE's three ways to choose absent objects, as the official construction does it.

Source: AoiDragon/POPE `main.py`, `utils.py::pope` (random, popular, adversarial). Each image gives three
present objects and, in each sampling, three absent ones; what a sampling cannot provide, random sampling fills in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

Sampling = Literal["random", "popular", "adversarial"]
SAMPLINGS: tuple[Sampling, ...] = ("random", "popular", "adversarial")


def _once(names: tuple[Sampling, ...]) -> tuple[Sampling, ...]:
    if len(set(names)) < len(names):
        raise ValueError("must not repeat a split")
    return names


Splits = Annotated[tuple[Sampling, ...], Field(min_length=1), AfterValidator(_once)]
"""Those that a study asks."""
PAIRS = 3
"""Present and absent objects per image and sampling; an image with fewer classes is left out, as officially."""


class CoOccurrence:
    """How often classes occur, and occur together, over the sampled images.

    Args:
        images: the classes of each image, without repetition.
        vocabulary: all classes that an image could show; the official construction knows those of the sampled images
            alone, of which a sample of two or three images may have too few that an image lacks.
        ties: which of two classes that are as frequent comes first: the earlier `name`, or, as officially, the one that
            is `seen` first, in the order of images and of their classes.
    """

    def __init__(
        self, images: Sequence[Sequence[str]], vocabulary: Sequence[str] = (), ties: Literal["name", "seen"] = "name"
    ) -> None:
        self.ties = ties
        self.frequency = Counter(name for names in images for name in names)
        self.together: dict[str, Counter[str]] = {name: Counter() for name in self.frequency}
        for names in images:
            for name in names:
                self.together[name].update(other for other in names if other != name)
        self.classes = tuple(sorted(self.frequency))
        self.never_shown = tuple(sorted(set(vocabulary).difference(self.frequency)))

    def popular(self) -> list[str]:
        """Classes by falling frequency."""
        return self._ranked(self.frequency)

    def companions(self, name: str) -> list[str]:
        """Classes by falling co-occurrence with `name`."""
        return self._ranked(self.together[name])

    def _ranked(self, counted: Counter[str]) -> list[str]:
        # A Counter keeps the order in which its keys were seen, and sorting keeps that of equals.
        names = sorted(counted) if self.ties == "name" else list(counted)
        return sorted(names, key=lambda name: -counted[name])

    def absent(
        self, sampling: Sampling, present: Sequence[str], positives: Sequence[str], rng: np.random.Generator
    ) -> list[str]:
        """One absent class for each positive, never asked twice for the image; fewer if there are no more classes.

        Args:
            sampling: how to choose.
            present: all classes of the image.
            positives: the present classes that are asked; adversarial sampling walks the companions of each.
            rng: for random sampling and for filling up.
        """
        taken = set(present)
        chosen = []
        for positive in positives:
            ranking = {"random": [], "popular": self.popular(), "adversarial": self.companions(positive)}[sampling]
            free = [name for name in ranking if name not in taken]
            if not free:
                rest = [name for name in self.classes if name not in taken]
                rest = rest or [name for name in self.never_shown if name not in taken]
                if not rest:
                    break
                free = [rest[int(rng.integers(len(rest)))]]
            chosen.append(free[0])
            taken.add(free[0])
        return chosen
