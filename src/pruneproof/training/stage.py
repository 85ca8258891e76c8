"""The stage `train_backbone`: from drawn scenes to a saved model; every step resumes after a kill."""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pruneproof import machine, registry
from pruneproof.errors import PruneProofError
from pruneproof.files import write_json
from pruneproof.folders import Folders
from pruneproof.plurals import number_of
from pruneproof.settings import Study
from pruneproof.training import scene_cache, settings_files
from pruneproof.training.card import TrainingReport, write_card
from pruneproof.training.clip_model import build_clip, open_clip_config
from pruneproof.training.export import export
from pruneproof.training.features import tower_features, variance_explained_by_place, varied_features
from pruneproof.training.focus import focus
from pruneproof.training.language_training import LanguageTrainer, LanguageValidation
from pruneproof.training.pair import Pair, read_pair, text_half
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.settings import TrainingSettings
from pruneproof.training.students import Glimpse, Student
from pruneproof.training.tokenizer import clip_tokenizer, language_tokenizer, train_tokenizer
from pruneproof.training.tower_consistency import train_consistency
from pruneproof.training.tower_training import TowerTrainer, normalise

log = logging.getLogger(__name__)


def run(study: Study, folders: Folders, name: str) -> None:
    """Train a built-in model by `data/backbones/<name>.yaml` and write it to `data/backbones/<name>`.

    Raises:
        PruneProofError: if there are no such settings.
    """
    home = folders.study / study.study.root / "data" / "backbones"
    known = sorted(path.stem for path in home.glob("builtin_*.yaml"))
    if name not in known:
        raise PruneProofError(f"--name is {name!r}, but {home} has settings for {', '.join(known) or 'no model'} only")
    train(settings_files.read(home / f"{name}.yaml", TrainingSettings), home / ".training", home / name)


def train(settings: TrainingSettings, work: Path, target: Path) -> TrainingReport:
    """Train and save one model.

    Args:
        settings: shapes, steps and seed.
        work: folder for scenes, features and checkpoints; a second call with the same settings goes on from there.
        target: folder of the finished model; beside it lies that of `tower_from`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(machine.workers())
    device = machine.device()
    own = work / target.name
    own.mkdir(parents=True, exist_ok=True)
    # The remark changes nothing that is trained.
    settings_files.require_same(own, settings.model_dump_json(indent=2, exclude={"remark"}))
    seen, unseen = (
        scene_cache.load(work / "scenes", settings.seed, split, count, machine.workers())
        for split, count in (("train", settings.scenes), ("validation", settings.validation))
    )
    seconds: dict[str, float] = {}
    if settings.tower_from is None:
        taught = _train_pair(settings, seen, work, own, device, seconds)
    else:
        taught = read_pair(target.parent / settings.tower_from)
        taught.clip.to(device)
    pair = _train_consistent(settings, taught, seen, work, own, seconds)
    family: Any = registry.load_module("pruneproof.training.students", settings.family, "built-in family")
    layer: int = family.ABOUT.feature_layer
    # The consistent tower says of clean scenes what the taught one says, so the language phases read either.
    features, unseen_features = (
        tower_features(taught.clip.visual, cache, work / "features", layer) for cache in (seen, unseen)
    )
    torch.manual_seed(settings.seed + 1)
    tokenizer = pair.language_tokenizer
    glimpse = Glimpse(
        torch.from_numpy(np.array(features[:200])).float(), normalise(np.array(seen.pixels[:8])).flatten(0, 1)
    )
    state = {name: tensor.cpu() for name, tensor in pair.clip.state_dict().items()}
    student: Student = family.student(settings, state, tokenizer, glimpse)
    student.model.to(device)
    trainer = LanguageTrainer(student, tokenizer, settings, device)
    validation = LanguageValidation(unseen, unseen_features, settings.seed, settings.validation)
    language = settings.language
    seconds["language"] = trainer.train(seen, features, own, validation)
    if language.dialogue_steps:
        seconds["dialogues"] = trainer.train_dialogues(seen, features, own, validation)
    finished = tower_features(pair.clip.visual, unseen, work / "features", layer)
    validation = LanguageValidation(unseen, finished, settings.seed, settings.validation)
    if language.settle_steps:
        visual, folder = pair.clip.visual, work / "features"
        sources = (
            tower_features(visual, seen, folder, layer),
            varied_features(visual, seen, folder, layer, settings.seed),
        )
        seconds["settle"] = trainer.settle(seen, sources, own, validation)
    apart = _train_apart(settings, taught, seen, work, own, device, seconds) if settings.tower.unmatched else None
    threads = number_of(torch.get_num_threads(), "thread")
    report = TrainingReport(
        name=target.name,
        seconds=seconds,
        device=torch.cuda.get_device_name() if device.startswith("cuda") else f"CPU, {threads}",
        place_variance=variance_explained_by_place(finished),
        known=validation.scores(trainer, held_out=False),
        held_out=validation.scores(trainer, held_out=True),
        parameters=_sizes(pair, student, settings),
        focus={"taught": focus(taught, unseen), "finished": focus(pair, unseen)} if pair is not taught else {},
    )
    export(
        target,
        student.model.cpu(),
        family.processor(settings, tokenizer),
        {"clip": pair if settings.tower_from is None else None, "clip_control": apart},
    )
    write_json(target / "training.json", {"settings": settings.model_dump(), "report": asdict(report)})
    write_card(target)
    return report


def _train_consistent(
    settings: TrainingSettings, taught: Pair, cache: SceneCache, work: Path, own: Path, seconds: dict[str, float]
) -> Pair:
    """The pair with a tower that has seen weather and lenses; the same pair where no such steps are asked for."""
    if not settings.tower.consistency_steps:
        return taught
    clip = deepcopy(taught.clip)
    features = tower_features(taught.clip.visual, cache, work / "features", -2)
    seconds["tower_consistency"] = train_consistency(taught.clip.visual, clip.visual, cache, features, settings, own)
    return replace(taught, clip=clip.eval())


def _train_pair(
    settings: TrainingSettings, cache: SceneCache, work: Path, own: Path, device: str, seconds: dict[str, float]
) -> Pair:
    """Tokenizer and CLIP pair; adds the seconds of each phase."""
    words = train_tokenizer(settings.seed, settings.vocabulary)
    tokenizer = clip_tokenizer(words)
    torch.manual_seed(settings.seed)
    config = open_clip_config(settings.tower, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
    clip = build_clip(config)
    trainer = TowerTrainer(clip, tokenizer, cache, settings, device)
    seconds |= trainer.train_aided(own)
    before = tower_features(clip.visual, cache, work / "features", -2)
    seconds["tower_contrastive"] = trainer.train_contrastive(before, own)
    return Pair(clip, config, tokenizer, language_tokenizer(words))


def _train_apart(
    settings: TrainingSettings,
    pair: Pair,
    cache: SceneCache,
    work: Path,
    own: Path,
    device: str,
    seconds: dict[str, float],
) -> Pair:
    """A second pair in a space of its own: last layer, projections and text tower start again from another seed."""
    torch.manual_seed(settings.seed + 2)
    clip = build_clip(pair.config)
    own_last = [f"visual.transformer.resblocks.{settings.tower.layers - 1}.", "visual.ln_post", "visual.proj"]
    shared = {
        name: tensor
        for name, tensor in pair.clip.state_dict().items()
        if name.startswith("visual.") and not name.startswith(tuple(own_last))
    }
    clip.load_state_dict(shared, strict=False)
    trainer = TowerTrainer(clip, pair.tokenizer, cache, settings, device)
    features = tower_features(pair.clip.visual, cache, work / "features", -2)
    seconds["tower_unmatched"] = trainer.train_contrastive(features, own, "tower_unmatched")
    return text_half(Pair(clip, pair.config, pair.tokenizer, pair.language_tokenizer))


def _sizes(pair: Pair, student: Student, settings: TrainingSettings) -> dict[str, int]:
    """Parameters of each part."""

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    towers = {"vision tower": count(pair.clip.visual), "text tower": count(pair.clip) - count(pair.clip.visual)}
    trained = {name: count(module) for name, module in student.trained().items() if name != "aid"}
    return trained | (towers if settings.tower_from is None else {"vision tower": towers["vision tower"]})
