"""The stage `train_decisions`: LVPruning's decision modules for a finished built-in LLaVA; it resumes after a kill."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from pydantic import model_validator
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from pruneproof import machine
from pruneproof.errors import PruneProofError
from pruneproof.files import write_text
from pruneproof.folders import Folders
from pruneproof.plurals import number_of
from pruneproof.pruning import lvpruning
from pruneproof.pruning._stages import require_stages
from pruneproof.settings import Frozen, Study
from pruneproof.training import scene_cache, settings_files
from pruneproof.training.decision_training import DecisionSettings, save, train_decisions
from pruneproof.training.settings import Count


class DecisionTraining(Frozen):
    """`data/decisions/<name>.yaml`: what is trained for which model, on how many scenes."""

    backbone: str
    """Folder of a built-in LLaVA below `data/backbones`."""
    scenes: Count = 2000
    """Training scenes that questions are drawn from; the first of those that the model was trained on."""
    scene_seed: int = 7
    """The seed that they are drawn by."""
    layers: tuple[int, ...] = (1, 8, 16)
    """As of `pruning.lvpruning.Settings`."""
    keep: tuple[float, ...] = (0.6, 0.3, 0.1)
    """As of `pruning.lvpruning.Settings`."""
    of: Count = 32
    """As of `pruning.lvpruning.Settings`."""
    training: DecisionSettings = DecisionSettings()

    @model_validator(mode="after")
    def _in_order(self) -> DecisionTraining:
        require_stages(self.layers, self.keep, self.of)
        return self


def run(study: Study, folders: Folders, name: str) -> None:
    """Train decision modules by `data/decisions/<name>.yaml` and write them to `data/decisions/<name>.safetensors`.

    Raises:
        PruneProofError: if there are no such settings, or the model that they name is missing.
    """
    home = folders.study / study.study.root / "data" / "decisions"
    known = sorted(path.stem for path in home.glob("*.yaml") if path.stem != "dvc")
    if name not in known:
        raise PruneProofError(f"--name is {name!r}, but {home} has settings for {', '.join(known) or 'nothing'} only")
    train(
        settings_files.read(home / f"{name}.yaml", DecisionTraining),
        home.parent / "backbones",
        home / f"{name}.safetensors",
    )


def train(settings: DecisionTraining, backbones: Path, target: Path) -> None:
    """Train and save decision modules.

    Args:
        settings: of the training.
        backbones: folder of the built-in models.
        target: file of the finished modules. Checkpoints lie in `.training` beside it; a second call with the same
            settings goes on from there.

    Raises:
        PruneProofError: if the model cannot be read, or checkpoints of other settings are in the way.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(machine.workers())
    checkpoint = backbones / settings.backbone
    if not (checkpoint / "model.safetensors").is_file():
        raise PruneProofError(f"backbone: {settings.backbone!r}, but there is no {checkpoint / 'model.safetensors'}")
    work = target.parent / ".training"
    own = work / target.stem
    settings_files.require_same(own, settings.model_dump_json(indent=2))
    cache = scene_cache.load(work / "scenes", settings.scene_seed, "train", settings.scenes, machine.workers())
    model: Any = LlavaForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32, local_files_only=True)
    model.to(machine.device())
    tokenizer = PreTrainedTokenizerFast.from_pretrained(checkpoint, local_files_only=True)
    decisions, seconds = train_decisions(model, tokenizer, cache, settings.training, _method(settings, target), own)
    save(decisions, target)
    write_text(target.with_suffix(".md"), card(settings, target.stem, seconds))


def card(settings: DecisionTraining, name: str, seconds: float) -> str:
    """What a reader must know about trained decision modules, as Markdown.

    Args:
        settings: of the training.
        name: of its settings file.
        seconds: that it took.
    """
    training = settings.training
    stages = "\n".join(
        f"| {layer} of {settings.of} | {share:.0%} |"
        for layer, share in zip(settings.layers, settings.keep, strict=True)
    )
    threads = number_of(machine.workers(), "thread")
    where = torch.cuda.get_device_name() if machine.device().startswith("cuda") else f"CPU, {threads}"
    return f"""# LVPruning's decision modules for {settings.backbone}: a reconstruction

LVPruning ([2501.13652](https://arxiv.org/abs/2501.13652)) comes without code, and these modules are rebuilt from
published descriptions of it: before some layers of the language model, cross-attention from the visual tokens to the
question decides which of them go on. What they lose or gain says something of the idea, and nothing of the authors'
own weights.

| before layer | visual tokens kept |
|---|---|
{stages}

Made by `python -m pruneproof train_decisions --name {name}`, settings in `data/decisions/{name}.yaml`:
{training.steps} steps of {training.scenes_batch} scenes each, from the first {settings.scenes} of the scenes that
{settings.backbone} was trained on, in {seconds / 60:.0f} minutes ({where}). The model itself stays as it is. The loss
is that of the answers' tokens, plus {training.share_weight:g} times the squared distance of each stage's share of
tokens from the one above. How well the modules answer, and how robustly, the study `rivals` shows (`make repro
STUDY=rivals`).
"""


def _method(settings: DecisionTraining, path: Path) -> lvpruning.Settings:
    options = {"layers": settings.layers, "keep": settings.keep, "of": settings.of}
    return lvpruning.Settings.model_validate({"weights": path.name, **options})
