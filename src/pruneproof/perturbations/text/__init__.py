"""Text perturbations: pure functions (sample, severity, generator) -> reworded question whose true answer is the same.

Every public module of this package exposes `PERTURBATIONS`, a mapping from name to `TextPerturbation`;
adding one means adding a module. Listing the names imports no text library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from pruneproof import registry
from pruneproof.records import Condition, Sample
from pruneproof.settings import TextPerturbationSettings

Gate = Callable[[Sample, str], str | None]
"""(sample, reworded question) -> why the label may no longer hold, or None; see `_gate`."""


class NotApplicable(Exception):
    """A perturbation has nothing to work with in this sample; the message is the reason that is recorded."""


class Rewrite(Protocol):
    """How a perturbation writes one draw of the new question."""

    def __call__(self, sample: Sample, severity: int, rng: np.random.Generator) -> str:
        """Return the new question; leave every global random state as it was.

        Args:
            sample: The clean sample.
            severity: One of the perturbation's severities.
            rng: The only source of randomness; it belongs to this question, perturbation and severity alone. Calling
                again with the same generator gives another draw.

        Raises:
            NotApplicable: if the sample lacks what the perturbation needs.
        """
        ...


@dataclass(frozen=True, slots=True)
class TextPerturbation:
    """What a module of this package offers under a name."""

    rewrite: Rewrite
    gate: Gate
    """Judges each draw; a perturbation declares its own because each keeps the label in another way."""
    severities: tuple[int, ...] = (1,)
    """The severities it knows, mildest first; (1,) for a perturbation without grades."""
    graded: bool = True
    """False if severities are variants of equal strength, of which a study makes all."""

    def __call__(self, sample: Sample, severity: int, rng: np.random.Generator) -> str:
        """One draw, ungated; see `Rewrite`."""
        return self.rewrite(sample, severity, rng)


@cache
def registered() -> Mapping[str, TextPerturbation]:
    """All text perturbations by name.

    Raises:
        PruneProofError: if two modules define the same name.
    """
    return registry.merge(__name__, "PERTURBATIONS", "text perturbation")


def perturbation(name: str) -> TextPerturbation:
    """The text perturbation of that name.

    Raises:
        PruneProofError: if there is none; the error lists those that exist, the closest match first.
    """
    known = registered()
    if name not in known:
        raise registry.unknown("text perturbation", name, known)
    return known[name]


def conditions(settings: TextPerturbationSettings) -> tuple[Condition, ...]:
    """The conditions that the settings ask for: names in their order, each at its severities in ascending order.

    A perturbation without grades has all its severities whatever `settings.severities` says, most of them severity 1.

    Raises:
        PruneProofError: if a name is unknown.
    """
    return tuple(
        Condition("text", name, severity)
        for name in dict.fromkeys(settings.names)
        for severity in _severities(perturbation(name), settings)
    )


def _severities(chosen: TextPerturbation, settings: TextPerturbationSettings) -> tuple[int, ...]:
    if len(chosen.severities) == 1 or not chosen.graded:
        return chosen.severities
    return tuple(severity for severity in chosen.severities if severity in settings.severities)
