"""The model card: how a built-in model was trained, on what, for how long, with which aids, and what it scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pruneproof.backbones.builtin.dialogues import MOST_TURNS
from pruneproof.backbones.builtin.settings import TrainingSettings
from pruneproof.backbones.builtin.students import About

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


_OWN_PAIR = (
    "`clip/` holds the open_clip model whose image half is the vision tower and whose text half gives ATP's relevance "
    "score."
)
_TOWER_PHASES = """- `tower_windows`, `tower_images`: the CLIP pair on open_clip's contrastive loss and the aids below.
- `tower_contrastive`: open_clip's loss alone, image against caption; last tower layer, projections and text tower.
- `tower_unmatched`, if there is one: the same from another beginning, for a text tower that does not match the vision
  tower (methods with `text_tower: control` use it on purpose). `clip_control/` holds its text half; the vision half
  there is an untrained stub that the format demands.
"""
_LANGUAGE_PHASE = "- `language`: tower frozen; connector and language model on question and answer tokens."
_DIALOGUE_PHASE = (
    "\n- `dialogues`: {steps} further steps of dialogues of one to {turns} turns on one image, each turn behind the "
    "earlier ones with their true answers."
)


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


def card(settings: TrainingSettings, report: TrainingReport, about: About) -> str:
    """The card as Markdown."""
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
    seconds = "\n".join(f"| {name} | {value / 60:.1f} |" for name, value in report.seconds.items())
    sizes = "\n".join(f"| {name} | {value / 1e6:.2f} |" for name, value in report.parameters.items())
    x, y = report.place_variance
    pair = _OWN_PAIR if trains_tower else f"Vision tower and text tower are those of `{settings.tower_from}`, frozen."
    phases = (_TOWER_PHASES if trains_tower else "") + _LANGUAGE_PHASE
    if language.dialogue_steps:
        phases += _DIALOGUE_PHASE.format(steps=language.dialogue_steps, turns=MOST_TURNS)
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

{settings.remark}

| phase | minutes |
|---|---|
{seconds}

{phases}

### Training aids

{aids}

What was **not** done: no visual token was dropped in language training, no loss compares a patch with a text of the
text tower, and no attention was supervised. Each would flatter pruning.

Place explains {x:.1f}% (x) and {y:.1f}% (y) of the variance of the tower's features.

## Validation accuracy, percent

Unseen clean scenes, every answer token right; `side` is training only. `turn k`: existence, asked as turn k of a
dialogue on different classes.

| form | known phrasings | held-out phrasings |
|---|---|---|
{rows}

## Demands

{verdict}
"""
