"""Scorers: one module a rule, pure functions that judge answers as a benchmark's official code does, quirks included.

A sample names its scorer. To add one, write one module `pruneproof/scoring/scorers/<name>.py` that offers what `Scorer`
lists: a constant and four functions.

- `TITLE`, which tables call it by.
- `read(text, truth)`: what an answer says. All that is compared, stored and called flipped is this prediction.
- `mark(prediction, truth)`: how right it is, 0 to 1; nan where right and wrong do not apply to it.
- `ratios(predictions, marks, truths)`: every score that is a sum over samples divided by a sum over samples, so that a
  bootstrap can sum both by image. The arguments are the answered samples of one condition, all of them, in one order:
  a score that needs the whole set (consistency over entailed questions, document frequencies) finds it here. Which
  names come back depends on the truths alone, never on the predictions. Where marks are nan (captions), the first is
  the score that a study's claims rest on; where samples are asked only for the sake of others, its denominator is 0 for
  them. Nothing at all if there is no score beside the mean mark.
- `figures(predictions, marks, truths)`: what the official script prints for the same samples, rounded as it rounds,
  under its own names. Scores that are not a ratio of sums (GQA's distribution) are here alone, without an interval.

Optional: `prepare(texts, shared)`, what is done to many texts at once before `read`, to true answers as well (a
tokeniser that starts Java); `shared` are the benchmark's facts for all samples.

Scores are shares of 1 and figures are on the script's own scale. Where the script divides by zero, a ratio is 0/0 (nan)
and a figure is nan; where it then writes 0, the figure is 0.

Members import neither torch nor files; modules whose name starts with `_` hold what members share. A benchmark that is
scored by several rules, because published numbers differ by harness (`pope`, `pope_lmms_eval`, `pope_vlmevalkit`),
names the others beside the first; each reads the same text for itself.

What a model's authors do to its text before the official script sees it (lower case, no full stop) is not a scorer's:
see `scoring.conversions`.

A whole scorer as an example:

    TITLE = "exact match"

    def read(text: str, truth: Truth) -> Reading:
        return Reading(text, bool(text))

    def mark(prediction: str, truth: Truth) -> float:
        return float(prediction in truth.answers)

    def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
        return {"accuracy": (marks, np.ones(len(marks)))}

    def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
        return {"accuracy": round(100 * float(marks.mean()), 2)}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pruneproof import registry

Floats = NDArray[np.float64]

Ratios = dict[str, tuple[Floats, Floats]]
"""Score -> numerators and denominators of N samples, (N) each: sum both, then divide."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a sample's answer is held against."""

    answers: tuple[str, ...]
    """True answers as the benchmark's authors wrote them: one for POPE and GQA, ten for VQAv2, five captions."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the rule needs, in values that JSON knows. Each scorer's docstring names its own."""


class Reading(NamedTuple):
    """What a text says."""

    prediction: str
    parseable: bool
    """Whether the rule finds in the text what it looks for, or takes a default in its place."""


class Prepares(Protocol):
    """A scorer that does something to many texts at once."""

    def prepare(self, texts: Sequence[str], shared: Mapping[str, Any]) -> list[str]:
        """Texts as its `read` takes them; `shared` are facts of all samples."""
        ...


class Scorer(Protocol):
    """What a module of this package offers; N samples are answered under one condition."""

    @property
    def TITLE(self) -> str:
        """What tables call it."""
        ...

    def read(self, text: str, truth: Truth) -> Reading:
        """What a model's text says under this rule."""
        ...

    def mark(self, prediction: str, truth: Truth) -> float:
        """How right a prediction of `read` is, 0 to 1; nan where that does not apply."""
        ...

    def ratios(self, predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
        """Scores as sums over sums.

        Args:
            predictions: (N) of `read`.
            marks: (N) of `mark`.
            truths: (N).
        """
        ...

    def figures(self, predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
        """What the official script prints; arguments as for `ratios`."""
        ...


def prepared(rule: Scorer, texts: Sequence[str], shared: Mapping[str, Any]) -> list[str]:
    """Texts as the scorer's `read` takes them: what its `prepare` makes of them, or as they are."""
    return cast(Prepares, rule).prepare(texts, shared) if hasattr(rule, "prepare") else list(texts)


def scorer(name: str) -> Scorer:
    """The scorer of that name.

    Raises:
        PruneProofError: if there is none (the error lists those that exist, the closest match first) or it lacks what
            `Scorer` lists.
    """
    needs = ("TITLE", "read", "mark", "ratios", "figures")
    return cast(Scorer, registry.load_module(__name__, name, "scorer", needs))
