"""GQA as its authors score it (`eval.py` of gqadataset.org): a prediction is right if it equals the answer, raw.

Nothing is normalised, neither case nor a full stop; published models do that themselves, see `scoring.conversions`.
Which score needs what besides the questions file:

| score | needs |
|---|---|
| accuracy, binary, open, by type and length, distribution | nothing |
| consistency | predictions for the entailed questions, most of which are not balanced: all of `<tier>_all_questions` |
| validity, plausibility | `<tier>_choices.json`, published for train and val, not for testdev |

A score whose need is not met is left out; the script prints 0 for validity and plausibility without choices, and stops
where an entailed question has no prediction. Grounding, which judges attention maps, is not scored.

Only balanced questions count; the others are asked for consistency.

Facts: `question_id`, `balanced` and `entailed` (ids of other questions); of balanced questions also `structural`,
`semantic`, `steps`, `words`, `group` (None without one) and, with choices, `valid` and `plausible`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pruneproof.scoring.scorers import Floats, Ratios, Reading, Truth

TITLE = "GQA"

_TITLES = {
    "structural": "Accuracy / structural type",
    "semantic": "Accuracy / semantic type",
    "steps": "Accuracy / steps number",
    "words": "Accuracy / words number",
}


def read(text: str, truth: Truth) -> Reading:
    """The text as it is."""
    return Reading(text, bool(text.strip()))


def mark(prediction: str, truth: Truth) -> float:
    """1 if equal to the answer, else 0."""
    return float(prediction == truth.answers[0])


def ratios(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> Ratios:
    """Accuracy on all balanced questions, on binary and on open ones, consistency, validity and plausibility."""
    balanced = np.array([truth.facts["balanced"] for truth in truths], float)
    is_open = np.array([truth.facts.get("structural") == "query" for truth in truths], bool)
    found = {
        "accuracy": (marks * balanced, balanced),
        "binary": (marks * balanced * ~is_open, balanced * ~is_open),
        "open": (marks * balanced * is_open, balanced * is_open),
    }
    consistency = _consistency(marks, truths)
    if consistency is not None:
        found["consistency"] = consistency
    for score, name in (("validity", "valid"), ("plausibility", "plausible")):
        if all(name in truth.facts for truth in truths if truth.facts["balanced"]):
            belongs = [
                prediction in truth.facts[name] if truth.facts["balanced"] else False
                for prediction, truth in zip(predictions, truths, strict=True)
            ]
            found[score] = (np.array(belongs, float), balanced)
    return found


def distribution(predictions: Sequence[str], truths: Sequence[Truth]) -> float:
    """How far the predicted answers of each group of questions are from the true ones; 0 if equal, lower is better.

    The chi-square of predicted against true counts of each true answer, averaged over groups by their size, / 100.
    Predictions that are nobody's true answer in the group do not enter. nan without any group.
    """
    true: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    said: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for prediction, truth in zip(predictions, truths, strict=True):
        group = truth.facts.get("group")
        if group is not None:
            true[group][truth.answers[0]] += 1
            said[group][prediction] += 1
    total = 0.0
    for group, answers in true.items():
        distance = sum(float(said[group].get(answer, 0) - count) ** 2 / count for answer, count in answers.items())
        total += distance * sum(answers.values())
    size = sum(sum(answers.values()) for answers in true.values())
    return total / size / 100 if size else nan


def figures(predictions: Sequence[str], marks: Floats, truths: Sequence[Truth]) -> dict[str, float]:
    """What `eval.py` prints under its titles: percent but for the distribution, two decimals."""
    found = {name: 100 * _mean(*pair) for name, pair in ratios(predictions, marks, truths).items()}
    found["distribution"] = distribution(predictions, truths)
    ordered = ("binary", "open", "accuracy", "consistency", "validity", "plausibility", "distribution")
    printed = {name.capitalize(): found[name] for name in ordered if name in found}
    for fact in _TITLES:
        parts: dict[Any, list[float]] = defaultdict(list)
        for value, truth in zip(marks.tolist(), truths, strict=True):
            if fact in truth.facts:
                parts[truth.facts[fact]].append(value)
        printed |= {f"{_TITLES[fact]}: {part}": 100 * sum(parts[part]) / len(parts[part]) for part in sorted(parts)}
    return {name: round(value, 2) for name, value in printed.items()}


def _consistency(marks: Floats, truths: Sequence[Truth]) -> tuple[Floats, Floats] | None:
    """Accuracy over the questions that each rightly answered one entails; None if one of those has no prediction."""
    place = {truth.facts["question_id"]: index for index, truth in enumerate(truths)}
    numerator, denominator = np.zeros((2, len(truths)))
    asked = False
    for index, truth in enumerate(truths):
        if truth.facts["balanced"] and truth.facts["entailed"]:
            asked = True
            try:
                others = [place[other] for other in truth.facts["entailed"]]
            except KeyError:
                return None
            if marks[index] == 1:
                numerator[index], denominator[index] = marks[others].mean(), 1
    return (numerator, denominator) if asked else None


def _mean(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> float:
    """A ratio's value; 0 where nothing counts, as the script writes."""
    return float(numerator.sum() / denominator.sum()) if denominator.sum() else 0.0
