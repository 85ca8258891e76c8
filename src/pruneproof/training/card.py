"""The model card: how a built-in model was trained, on what, for how long, with which aids, and what it scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pruneproof import registry
from pruneproof.files import read_json, write_text
from pruneproof.training.dialogues import MOST_TURNS
from pruneproof.training.focus import Focus
from pruneproof.training.settings import TrainingSettings
from pruneproof.training.students import About
from pruneproof.training.variety import NUMBERS, VARIATIONS

MOST_PHRASING_LOSS = 3.0
"""Points that held-out phrasings may cost."""

TOWER_AIDS = (
    "Windows of 6 x 6 patches instead of whole images (tower, phase 1).",
    "Throw-away linear heads on the last tower layer but one: class and colour of each patch and whether an object's "
    "centre lies in it (phases 1 and 2), number of equal objects (phase 2).",
    "Horizontal and vertical place written loudly into 32 channels of the position embedding's initial value, and a "
    "loss that keeps these channels so in the features (phases 1 and 2).",
)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What one training run did and reached."""

    name: str
    seconds: dict[str, float]
    """By phase."""
    device: str
    place_variance: tuple[float, float]
    """Percent of the tower features' variance explained by x and by y."""
    known: dict[str, float]
    """Validation accuracy in percent by form, with phrasings that training uses."""
    held_out: dict[str, float]
    parameters: dict[str, int]
    focus: dict[str, Focus] = field(default_factory=dict)
    """Where relevance and attention lie, with the tower before (`taught`) and after (`finished`) varied pictures."""


_OWN_PAIR = (
    "`clip/` holds the open_clip model whose image half is the vision tower and whose text half gives ATP's relevance "
    "score."
)
_TOWER_PHASES = """\
- `tower_windows`, `tower_images`: the CLIP pair on open_clip's contrastive loss and the aids below.
- `tower_contrastive`: open_clip's loss alone, image against caption; last tower layer, projections and text tower.
{consistency}- `tower_unmatched`, if there is one: as `tower_contrastive`, from another beginning, for a text tower that
  does not match the vision tower (methods with `text_tower: control` use it on purpose). `clip_control/` holds its text
  half; the vision half there is an untrained stub that the format demands.
"""
_CONSISTENCY_PHASE = """\
- `tower_consistency`: distillation of features, not contrastive training. The tower so far is the teacher and sees
  the clean scene; a copy of it, which becomes the finished tower, sees the scene varied ({clean} of {batch} pictures
  clean, {cut} cut out for both) and learns the teacher's states of every token in the last two layers (squared
  difference, directions made equally loud; linear decay from rate {rate:g}). Text tower and projections stay as they
  are, and so do the features of clean scenes: the phases of the language model read the teacher's.
"""
_LANGUAGE_PHASE = "- `language`: tower frozen; connector and language model on question and answer tokens."
_DIALOGUE_PHASE = (
    "\n- `dialogues`: {steps} further steps of dialogues of one to {turns} turns on one image, each turn after the "
    "earlier ones with their true answers."
)
_SETTLE_PHASE = """
- `settle`: {steps} last steps of dialogues of one to {turns} turns on the finished tower's features, half of them of
  clean and half of varied pictures, so that connector and language model get used to it."""

_GAP = "\n\n"

_ORDER = (
    "tower_windows", "tower_images", "tower_contrastive", "tower_consistency", "tower_unmatched", "language",
    "dialogues", "settle",
)  # fmt: skip
"""Of the phases."""

_PLACE_AIDS = """\
- Short forms for place in all of the language phase: `side car` (answered at the noun) and `across car from tree`
  (answered at the second noun); the benchmark asks neither.
- A loss that holds a question token's state back where its deviation grows beyond {bound:g} after a layer: a word whose
  state grows large hears nothing of place.
"""


def unmet(report: TrainingReport, demands: Mapping[str, float]) -> list[str]:
    """Demands that the model misses, each with by how much."""
    missed = []
    for form, least in demands.items():
        reached = report.known.get(form, 0.0)
        if reached < least:
            missed.append(f"{form}: {reached:.1f}% of the {least:.0f}% asked for, {least - reached:.1f} points short")
        loss = reached - report.held_out.get(form, 0.0)
        if loss > MOST_PHRASING_LOSS:
            missed.append(
                f"{form}: held-out phrasings lose {loss:.1f} points, at most {MOST_PHRASING_LOSS:.0f} asked for"
            )
    return missed


def write_card(folder: Path) -> None:
    """Write a built-in model's card from `training.json` in its folder and, if measured, `retention.json`."""
    stored = read_json(folder / "training.json")
    settings = TrainingSettings.model_validate(stored["settings"])
    found = dict(stored["report"])
    found["focus"] = {name: Focus(**values) for name, values in found.get("focus", {}).items()}
    family: Any = registry.load_module("pruneproof.training.students", settings.family, "built-in family")
    measured = folder / "retention.json"
    retention = read_json(measured) if measured.exists() else None
    write_text(folder / "README.md", card(settings, TrainingReport(**found), family.ABOUT, retention))


def card(
    settings: TrainingSettings, report: TrainingReport, about: About, retention: Mapping[str, Any] | None = None
) -> str:
    """The card as Markdown.

    Args:
        settings: of the training.
        report: of the training.
        about: the family.
        retention: content of `retention.json`; None if it was not measured.
    """
    language = settings.language
    values = {
        "short_only": language.short_only,
        "short_until": language.short_until,
        "aligned": round(language.alignment_share * language.steps),
        "heads": language.matched_heads,
        "later": language.later_plan,
    }
    trains_tower = settings.tower_from is None
    aids = "\n".join(f"- {aid.format(**values)}" for aid in (*(TOWER_AIDS if trains_tower else ()), *about.aids))
    forms = sorted(set(report.known) | set(report.held_out))
    rows = "\n".join(
        f"| {form} | {report.known.get(form, float('nan')):.1f} | {report.held_out.get(form, float('nan')):.1f} |"
        for form in forms
    )
    missed = unmet(report, about.demands)
    verdict = "\n".join(f"- {line}" for line in missed) if missed else "All demands are met."
    aid_forms = _PLACE_AIDS.format(bound=language.state_bound) if language.place else ""
    order = sorted(report.seconds, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    seconds = "\n".join(f"| {name} | {report.seconds[name] / 60:.1f} |" for name in order)
    sizes = "\n".join(f"| {name} | {value / 1e6:.2f} |" for name, value in report.parameters.items())
    x, y = report.place_variance
    pair = _OWN_PAIR if trains_tower else f"Vision tower and text tower are those of `{settings.tower_from}`, frozen."
    phases = (_tower_phases(settings) if trains_tower else "") + _LANGUAGE_PHASE
    if language.dialogue_steps:
        phases += _DIALOGUE_PHASE.format(steps=language.dialogue_steps, turns=MOST_TURNS)
    if language.settle_steps:
        phases += _SETTLE_PHASE.format(steps=language.settle_steps, turns=MOST_TURNS)
    parts = (
        _variety(settings) if settings.tower.consistency_steps else "",
        _focus(report.focus) if report.focus else "",
        _curve(retention) if retention else "",
    )
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---

# {report.name}

{about.description} It answers questions on PruneProof's drawn scenes and nothing else. {pair}

Made by `python -m pruneproof train_backbone --name {report.name}`, settings in `data/backbones/{report.name}.yaml`.

## Size

| part | million parameters |
|---|---|
{sizes}

Stored in float16.

## Training

{settings.scenes} training scenes drawn from seed {settings.seed} and {settings.validation} validation scenes; neither
shares a scene with any study's test scenes. Device: {report.device}.

{settings.remark + _GAP if settings.remark else ""}| phase | minutes |
|---|---|
{seconds}

{phases}

### Training aids

{aids}
{aid_forms}
What was **not** done: no visual token was dropped in language training, no loss compares a patch with a text of the
text tower, and no attention was supervised. Each would flatter pruning.

Place explains {x:.1f}% (x) and {y:.1f}% (y) of the variance of the tower's features.

## Validation accuracy, percent

Unseen clean scenes, every answer token right; `side` is training only. `turn k`: existence, asked as turn k of a
dialogue on different classes.

| form | known phrasings | held-out phrasings |
|---|---|---|
{rows}
{"".join(parts)}
## Demands

{verdict}
"""


def _tower_phases(settings: TrainingSettings) -> str:
    tower = settings.tower
    consistency = _CONSISTENCY_PHASE.format(
        clean=tower.consistency_clean,
        batch=tower.consistency_batch,
        cut=tower.consistency_cut,
        rate=tower.consistency_rate,
    )
    return _TOWER_PHASES.format(consistency=consistency if tower.consistency_steps else "")


def _variety(settings: TrainingSettings) -> str:
    """What the tower's pictures went through."""
    total = sum(variation.weight for variation in VARIATIONS)
    mean = sum(number * chance for number, chance in enumerate(NUMBERS, start=1))
    rows = "\n".join(
        f"| {variation.title} | {100 * mean * variation.weight / total:.0f} | {variation.extent} |"
        for variation in VARIATIONS
    )
    clean, batch = settings.tower.consistency_clean, settings.tower.consistency_batch
    return f"""
## What the tower has seen

{100 * clean / batch:.0f}% of the pictures in `tower_consistency` were clean. On each of the others one to four of these
things happened at once (chances {", ".join(f"{100 * chance:.0f}%" for chance in NUMBERS)}), in this order. No study's
perturbation was called and no constant of one taken; local warps and impulse noise have no counterpart here.

| variation | about so many % of varied pictures | how far |
|---|---|---|
{rows}
"""


def _focus(found: Mapping[str, Focus]) -> str:
    """How relevance and attention behave before and after the tower saw varied pictures."""
    columns = [name for name in ("taught", "finished") if name in found]
    lines = (
        ("cosine of question and patches of the asked class", "relevance_asked", ".3f"),
        ("cosine of question and background patches", "relevance_background", ".3f"),
        ("questions more similar to the background, %", "background_wins", ".0f"),
        ("CLS attention (last layer) on patches with objects, %", "attention_on_objects", ".0f"),
        ("patches with objects, %", "patches_with_objects", ".0f"),
    )
    rows = "\n".join(
        f"| {title} | {' | '.join(format(getattr(found[name], key), how) for name in columns)} |"
        for title, key, how in lines
    )
    return f"""
## Relevance and attention

S_inter (`Is there a car in the image?` against patches of the last layer in CLIP space) and the attention of CLS on 100
unseen clean scenes, with the teacher's tower (`taught`) and the one that the model has (`finished`).

| mean over scenes | {" | ".join(columns)} |
|---|{"---:|" * len(columns)}
{rows}

{_READING[found["finished"].background_wins > 50]}
"""


_READING = {
    True: """\
The background is more similar to a question than the asked object in most cases, as in published CLIPs (Li et al. 2023,
CLIP Surgery, arXiv 2304.05653): relevance is no map of what is asked for. Varied pictures do not change that.""",
    False: """\
The asked object is more similar to a question than the background in most cases, which published CLIPs do not show (Li
et al. 2023, CLIP Surgery, arXiv 2304.05653).""",
}


_BAR = 40
"""Characters of an accuracy of 100%."""


def _curve(measured: Mapping[str, Any]) -> str:
    """Accuracy over severity, and retention by perturbation."""
    severities = sorted({s for row in measured["accuracies"].values() for s in row}, key=int)
    means = {s: float(np.mean([row[s] for row in measured["accuracies"].values()])) for s in severities}
    kept = {s: float(np.mean([row[s] for row in measured["retention"].values()])) for s in severities}
    bars = "\n".join(
        f"{title:<11} {'#' * round(_BAR * value / 100):<{_BAR}} {value:.1f}%"
        for title, value in (
            ("clean", measured["clean"]),
            *((f"severity {severity}", value) for severity, value in means.items()),
            ("chance", measured["chance"]),
        )
    )
    rows = "\n".join(
        f"| {name} | {' | '.join(f'{row[s]:.0f}' for s in severities)} |" for name, row in measured["retention"].items()
    )
    kinds = ", ".join(f"{kind} {value:.1f}" for kind, value in measured["kinds"].items())
    return f"""
## Accuracy over severity

The full model on {measured["images"]} unseen scenes ({measured["questions"]} questions) and the mean over
{len(measured["retention"])} image perturbations, by `python -m pruneproof retention`. Clean by kind: {kinds}.

```
{bars}
```

Retention in percent: (accuracy - chance) / (clean accuracy - chance), chance being the accuracy of a model that gives
the most frequent answer to every kind of question.

| perturbation | {" | ".join(f"severity {s}" for s in severities)} |
|---|{"---:|" * len(severities)}
{rows}
| **mean** | {" | ".join(f"**{kept[s]:.0f}**" for s in severities)} |
"""
