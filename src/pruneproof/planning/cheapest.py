"""What a study could be spared, and what each way of sparing costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pruneproof.answering.grid import conditions
from pruneproof.plan import comparisons, duration
from pruneproof.planning.estimate import Estimate, Planned
from pruneproof.plurals import number_of
from pruneproof.scoring.statistics import images_needed
from pruneproof.settings import Study
from pruneproof.space import COPIES, size

POINTS = 1.0
"""The difference in drops, in points, that a study ought to show."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pictures that show a difference, and what they cost."""

    family: str
    images: int
    share: float
    """Of the study's pictures; more than 1 where it has too few."""
    seconds: float
    """Of corrupting and answering, on one machine."""


def samples(study: Study, plan: Estimate) -> list[Sample]:
    """For image and for text conditions, how many pictures show `POINTS`, and how long these take."""
    grid, found = conditions(study), []
    each = plan.asking.questions / plan.asking.pictures if plan.asking.pictures else 0.0
    if not each or not study.scoring.primary:
        return []
    for family in ("image", "text"):
        count = sum(condition.family == family for condition in grid)
        if not count:
            continue
        images = images_needed(
            POINTS,
            each,
            conditions=count,
            comparisons=max(1, comparisons(study)),
            confidence=study.scoring.confidence,
        )
        share = images / plan.asking.pictures
        found.append(Sample(family, images, share, share * (plan.corruption + plan.answering)))
    return found


def lines(study: Study, plan: Estimate) -> Iterator[str]:
    """One line for each way."""
    yield _unique(plan)
    if plan.corruption:
        yield _stored(study, plan)
    for name, planned in plan.backbones.items():
        if planned.work.encoded_bytes:
            yield _encoded(name, planned)
    for sample in samples(study, plan):
        more = "" if sample.share <= 1 else f", more than the {plan.asking.pictures:.0f} that the study has"
        yield (
            f"A difference of {POINTS:g} point over the mean of the {sample.family} conditions shows on "
            f"{number_of(sample.images, 'picture')}{more}: {duration(sample.seconds)} on one machine (power 80%)."
        )


def _unique(plan: Estimate) -> str:
    """Repeated questions are never asked twice."""
    rows, asked = plan.asking.rows, plan.asking.questions
    if not asked:
        return "Each picture is described once for each condition."
    if rows <= asked:
        return "Every question of the benchmark is a different one, so that none is spared."
    return (
        f"The {rows:.0f} rows hold {number_of(round(asked), 'different question')}, and nothing is asked twice: "
        f"{rows / asked:.2f} times fewer."
    )


def _stored(study: Study, plan: Estimate) -> str:
    """Disk against seconds."""
    times = max(1, len(study.backbones))
    again, kept = duration(times * plan.corruption), f"{size(plan.stored)} in {COPIES} copies"
    made = f"made once in {duration(plan.corruption)}"
    if study.perturbations.image.stored:
        without = f"with `stored: false` in perturbations.image no disk, and {again} for {number_of(times, 'backbone')}"
        return f"Corrupted pictures are stored: {kept}, {made}; {without}."
    without = (
        f"Corrupted pictures are made when they are asked about: no disk, {again} for {number_of(times, 'backbone')}"
    )
    return f"{without}; with `stored: true` {kept}, {made}."


def _encoded(name: str, planned: Planned) -> str:
    """Encoded pictures kept or not."""
    work = planned.work
    whole = f"{name}: all encoded pictures take {size(round(work.encoded_bytes))}"
    if not work.encoded_again:
        return f"{whole}, and none has to be encoded twice (PRUNEPROOF_FEATURES_MB)."
    together = work.together.get("vision tower")
    shown = work.together["pictures read"].items
    spent = planned.speeds.seconds("vision tower", together) if together else 0.0
    spent += sum(
        planned.speeds.seconds("vision tower", own["vision tower"])
        for own in work.methods.values()
        if "vision tower" in own
    )
    spared = spent * min(1.0, work.encoded_again / max(shown, 1.0))
    clean = f"PRUNEPROOF_FEATURES_MB={round(work.encoded_bytes / 2**20) + 1}"
    again = round(work.encoded_again)
    return f"{whole}; {again} {'is' if again == 1 else 'are'} encoded twice, {duration(spared)}, unless {clean}."


def fitting(planned: Planned, room: float) -> str:
    """Whether a backbone fits into the machine's memory, and what to change if not; empty if it does."""
    memory = planned.memory
    if memory.total <= room:
        return ""
    without = memory.total - memory.processes * (memory.cache + memory.buffers)
    rows = replace(memory, cache=memory.cache / 16, buffers=memory.buffers / 16).total
    wide = planned.shape.dtype == "float32"
    if without > room and wide and memory.total - memory.weights / 2 <= room:
        return "it does not fit: set `dtype: bfloat16`"
    if without > room:
        return "it does not fit: take a machine with more memory, `language_weights: int8`, or a smaller checkpoint"
    if rows <= room:
        return "it does not fit: lower PRUNEPROOF_BATCH"
    return "it does not fit: lower PRUNEPROOF_BATCH and PRUNEPROOF_WORKERS"
