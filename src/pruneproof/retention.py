"""`retention`: how much of a full model's lead over chance is left under each image perturbation of a study.

It asks about scenes that neither training nor the study draws, and for a built-in model writes the numbers onto its
card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pruneproof import backbones, benchmarks, machine
from pruneproof.errors import PruneProofError
from pruneproof.files import write_json
from pruneproof.perturbations.images._pictures import StoredPicture
from pruneproof.perturbations.images._work import Task, corrupt, prepare_worker
from pruneproof.perturbations.images.stage import image_conditions
from pruneproof.pictures import read_picture
from pruneproof.plurals import number_of
from pruneproof.records import CLEAN, Condition, Sample
from pruneproof.scoring import chance
from pruneproof.scoring.scorers import Truth, scorer
from pruneproof.settings import BackboneSettings, Study
from pruneproof.stored import Held
from pruneproof.study import load_study
from pruneproof.workers import run_in_order

SEEDS = (41, 42)
"""Of the scenes: the first, or the second for a study that has the first, whose own scenes they would be."""

_NEW_TOKENS = 4
"""Longest answer to a question of one word."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its truth."""

    image_id: str
    kind: str
    question: str
    truth: str
    scorer: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker does: all questions under one condition."""

    condition: Condition
    pictures: tuple[StoredPicture, ...]
    questions: tuple[Asked, ...]
    backbone: BackboneSettings
    root: Path
    seed: int
    """Of the perturbation's random draws."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Accuracies of a full model, in 0 to 1."""

    images: int
    questions: int
    chance: float
    clean: float
    kinds: Mapping[str, float]
    """Clean accuracy by kind."""
    accuracies: Mapping[str, Mapping[int, float]]
    """By perturbation and severity."""

    def kept(self, perturbation: str, severity: int) -> float:
        """Retention of one cell."""
        accuracy = self.accuracies[perturbation][severity]
        return float(chance.retention(accuracy, self.clean, self.chance))

    @property
    def severities(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(sorted({severity for row in self.accuracies.values() for severity in row}))

    def mean(self, severity: int) -> float:
        """Mean retention over perturbations."""
        return float(np.mean([self.kept(name, severity) for name in self.accuracies]))

    def blind(self) -> list[tuple[str, int]]:
        """Cells whose retention lies below `chance.FLOOR`."""
        cells = [(name, severity) for name, row in self.accuracies.items() for severity in row]
        return [cell for cell in cells if self.kept(*cell) < chance.FLOOR]


def report(folder: Path, backbone: str, images: int, save: bool) -> None:
    """Measure and print a table; with `save` write it beside the checkpoint and onto the built-in model's card.

    Raises:
        PruneProofError: if there is no such backbone, or `save` is asked for one that is not built in.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    study = load_study(folder)
    if backbone not in study.backbones:
        raise PruneProofError(
            f"--backbone is {backbone!r}, which params.yaml does not have: {', '.join(study.backbones)}"
        )
    if images < 1:
        raise PruneProofError(f"--images is {images}: give a number from 1 on")
    root = folder / study.study.root
    checkpoint = root / study.backbones[backbone].checkpoint
    if save and not (checkpoint / "training.json").exists():
        raise PruneProofError(f"--save writes onto the card of a built-in model, and {checkpoint} has no training.json")
    found = measure(study, study.backbones[backbone], root, images)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("retention, %")
    for severity in found.severities:
        table.add_column(f"severity {severity}", justify="right")
    for name, row in found.accuracies.items():
        table.add_row(name, *(f"{100 * found.kept(name, s):.0f}" if s in row else "" for s in found.severities))
    table.add_section()
    table.add_row("mean", *(f"{100 * found.mean(severity):.1f}" for severity in found.severities))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    kinds = ", ".join(f"{kind} {100 * value:.1f}" for kind, value in found.kinds.items())
    console.print(
        f"{backbone}, {number_of(found.images, 'unseen scene')}, {number_of(found.questions, 'question')}: "
        f"clean {100 * found.clean:.1f}% "
        f"({kinds}), chance {100 * found.chance:.1f}%."
    )
    blind = ", ".join(f"{name} {severity}" for name, severity in found.blind()) or "none"
    console.print(f"Cells below {100 * chance.FLOOR:.0f}%: {len(found.blind())} ({blind}).")
    if save:
        from pruneproof.training.card import write_card

        write_json(checkpoint / "retention.json", as_json(found))
        write_card(checkpoint)


def as_json(found: Retention) -> dict[str, Any]:
    """The numbers as they lie beside a checkpoint, accuracies and retention in percent."""

    def percent(value: float) -> float:
        return round(100 * value, 1)

    return {
        "images": found.images,
        "questions": found.questions,
        "chance": percent(found.chance),
        "clean": percent(found.clean),
        "kinds": {kind: percent(value) for kind, value in found.kinds.items()},
        "accuracies": {n: {str(s): percent(v) for s, v in row.items()} for n, row in found.accuracies.items()},
        "retention": {
            name: {str(s): percent(found.kept(name, s)) for s in row} for name, row in found.accuracies.items()
        },
    }


def measure(study: Study, backbone: BackboneSettings, root: Path, images: int) -> Retention:
    """Ask a full model about unseen scenes of the study's benchmark, clean and under its image perturbations.

    Args:
        study: gives perturbations, severities and the kinds of question that count.
        backbone: of it.
        root: the project's root.
        images: number of scenes.
    """
    pictures, asked = scenes(study, images, root)
    conditions = [CLEAN, *image_conditions(study.perturbations.image)]
    parts = [Part(condition, pictures, asked, backbone, root, unseen_seed(study)) for condition in conditions]
    workers = machine.workers() if machine.device() == "cpu" else 1
    right = {part.condition: correct for part, correct in run_in_order(answered, parts, workers, _prepare)}
    levels = chance.chance_levels([one.kind for one in asked], [one.truth for one in asked])
    kinds = np.array([one.kind for one in asked])
    accuracies: dict[str, dict[int, float]] = {}
    for condition in conditions[1:]:
        row = accuracies.setdefault(condition.perturbation, {})
        row[condition.severity] = float(np.mean(right[condition]))
    clean = np.array(right[CLEAN])
    return Retention(
        images=images,
        questions=len(asked),
        chance=chance.total(levels, levels).level,
        clean=float(clean.mean()),
        kinds={kind: float(clean[kinds == kind].mean()) for kind in levels},
        accuracies=accuracies,
    )


def unseen_seed(study: Study) -> int:
    """The seed of scenes that the study does not draw."""
    return next(seed for seed in SEEDS if seed != study.study.seed)


def scenes(study: Study, images: int, folder: Path) -> tuple[tuple[StoredPicture, ...], tuple[Asked, ...]]:
    """Unseen scenes and the different questions on them, of the kinds that the study counts."""
    drawn = benchmarks.build(study.benchmark, unseen_seed(study), folder, images)
    masks: dict[str, list[Held]] = {}
    for row in drawn.objects:
        masks.setdefault(row["image_id"], []).append(Held(row["mask"]))
    pictures = tuple(
        StoredPicture(row["image_id"], Held(row["png"]), tuple(masks.get(row["image_id"], ()))) for row in drawn.images
    )
    asked = (
        _asked(sample)
        for sample in drawn.samples
        if sample.asks == "answer" and sample.kind in (study.scoring.kinds or (sample.kind,))
    )
    return pictures, tuple(dict.fromkeys(asked))


def _asked(sample: Sample) -> Asked:
    return Asked(sample.image_id, sample.kind, sample.question, sample.answer, sample.scorers[0])


def answered(part: Part) -> list[bool]:
    """Whether each question is answered right under a condition.

    Raises:
        PruneProofError: if a picture cannot be perturbed.
    """
    from pruneproof.answering.doors import whole

    model = _loaded(part.backbone, part.root, machine.device())
    pngs = {picture.image_id: picture.picture.read() for picture in part.pictures}
    if part.condition != CLEAN:
        for row in corrupt(Task(part.condition, part.pictures, part.seed, None)):
            if row["error"]:
                raise PruneProofError(f"{row['image_id']} under {part.condition.condition_id}: {row['error']}")
            pngs[row["image_id"]] = row["png"]
    right: dict[Asked, bool] = {}
    for picture in part.pictures:
        image = model.encode([read_picture(pngs[picture.image_id])])[0]
        questions = [one for one in part.questions if one.image_id == picture.image_id]
        if not questions:
            continue
        shown = [whole(model, image)] * len(questions)
        replies = model.answer(shown, [one.question for one in questions], _NEW_TOKENS)
        for one, reply in zip(questions, replies, strict=True):
            rule, truth = scorer(one.scorer), Truth((one.truth,))
            right[one] = rule.mark(rule.read(reply.text, truth).prediction, truth) == 1
    return [right[one] for one in part.questions]


@cache
def _loaded(settings: BackboneSettings, root: Path, device: str) -> backbones.Backbone:
    return backbones.load(settings, root, device)


def _prepare() -> None:
    import torch

    prepare_worker()
    torch.set_num_threads(1)
