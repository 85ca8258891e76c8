"""The model card: how a built-in model was trained, on what, for how long, with which aids, and what it scores."""

from __future__ import annotations

from dataclasses import dataclass

from pruneproof.backbones.builtin.settings import TrainingSettings

DEMANDS: dict[str, float] = {
    "existence/singular": 94.0,
    "existence/plural": 94.0,
    "colour": 95.0,
    "relation/holds/horizontal": 85.0,
    "relation/choice/horizontal": 85.0,
    "relation/holds/vertical": 85.0,
    "relation/choice/vertical": 85.0,
    "count": 60.0,
}
"""Least accuracy in percent, on unseen clean scenes, for a kind of question to enter the study's claims."""

MOST_PHRASING_LOSS = 3.0
"""Points that held-out phrasings may cost."""

AIDS = (
    "Windows of 6 x 6 patches instead of whole images (tower, phase 1).",
    "Throw-away linear heads on the last tower layer but one: class and colour of each patch and whether an object's "
    "centre lies in it (phases 1 and 2), number of equal objects (phase 2).",
    "Horizontal and vertical place written loudly into 32 channels of the position embedding's initial value, and a "
    "loss that keeps these channels so in the features (phases 1 and 2).",
    "The projector's first layer starts as a whitening of the tower's features in which place is made louder.",
    "Short forms such as `colour car`: alone for the first {short_only} steps of language training, faded out by step "
    "{short_until}.",
    "An alignment loss that draws a projected patch to the embeddings of class and colour, off after {aligned} steps.",
    "`count cars`, answered at the noun, as a curriculum for counting, throughout.",
    "`Which side is the car on?` as a curriculum for relations, throughout; the benchmark never asks it.",
)


MATCHED = (
    "The keys of {heads} heads of the first language layer start equal to their queries, so that a word attends to "
    "patches like it from the start; they are free afterwards."
)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What one training run did and reached."""

    seconds: dict[str, float]
    """By phase."""
    device: str
    place_variance: tuple[float, float]
    """Percent of the tower features' variance explained by x and by y."""
    known: dict[str, float]
    """Validation accuracy in percent by form, with phrasings that training uses."""
    held_out: dict[str, float]
    parameters: dict[str, int]


def unmet(report: TrainingReport) -> list[str]:
    """Demands that the model misses, each with by how much."""
    missed = []
    for form, least in DEMANDS.items():
        reached = report.known.get(form, 0.0)
        if reached < least:
            missed.append(f"{form}: {reached:.1f}% of the {least:.0f}% asked for, {least - reached:.1f} points short")
        loss = reached - report.held_out.get(form, 0.0)
        if loss > MOST_PHRASING_LOSS:
            missed.append(
                f"{form}: held-out phrasings lose {loss:.1f} points, at most {MOST_PHRASING_LOSS:.0f} asked for"
            )
    return missed


def card(settings: TrainingSettings, report: TrainingReport) -> str:
    """The card as Markdown."""
    aligned = round(settings.language.alignment_share * settings.language.steps)
    language = settings.language
    values = {"short_only": language.short_only, "short_until": language.short_until, "aligned": aligned}
    chosen = AIDS + ((MATCHED,) if language.matched_heads else ())
    aids = "\n".join(f"- {aid.format(**values, heads=language.matched_heads)}" for aid in chosen)
    forms = sorted(set(report.known) | set(report.held_out))
    rows = "\n".join(
        f"| {form} | {report.known.get(form, float('nan')):.1f} | {report.held_out.get(form, float('nan')):.1f} |"
        for form in forms
    )
    missed = unmet(report)
    verdict = "\n".join(f"- {line}" for line in missed) if missed else "All demands are met."
    seconds = "\n".join(f"| {name} | {value / 60:.1f} |" for name, value in report.seconds.items())
    sizes = "\n".join(f"| {name} | {value / 1e6:.2f} |" for name, value in report.parameters.items())
    x, y = report.place_variance
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---

# builtin_llava

A real, small `LlavaForConditionalGeneration`: CLIP vision tower (patch 14, 224 pixels, 256 visual tokens), projector
and Llama. It answers questions on PruneProof's drawn scenes and nothing else. `clip/` holds the open_clip model whose
image half is the vision tower and whose text half gives ATP's relevance score.

Made by `dvc repro data/backbones/dvc.yaml` (stage `train_backbone`), settings in `data/backbones/builtin_llava.yaml`.

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

1. `tower_windows`, `tower_images`: the CLIP pair with open_clip's contrastive loss and the aids below.
2. `tower_contrastive`: open_clip's loss alone, image against caption; last tower layer, projections and text tower.
3. `language`: tower frozen; projector and Llama on question and answer tokens.

### Training aids

{aids}

What was **not** done: no visual token was dropped in language training, no loss compares a patch with a text of the
text tower, and no attention was supervised. Each would flatter pruning.

Place explains {x:.1f}% (x) and {y:.1f}% (y) of the variance of the tower's features.

## Validation accuracy, percent

Unseen clean scenes, every answer token right; `side` is training only.

| form | known phrasings | held-out phrasings |
|---|---|---|
{rows}

## Demands

{verdict}
"""
