"""The stage `train_backbone`: from drawn scenes to a saved LLaVA; every step resumes after a kill."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import ValidationError

from pruneproof import machine
from pruneproof.backbones.builtin import scene_cache
from pruneproof.backbones.builtin.card import TrainingReport, card
from pruneproof.backbones.builtin.clip_model import build_clip, open_clip_config
from pruneproof.backbones.builtin.export import export
from pruneproof.backbones.builtin.features import tower_features, variance_explained_by_place
from pruneproof.backbones.builtin.language_model import build_llava, whiten_projector
from pruneproof.backbones.builtin.language_training import LanguageTrainer, LanguageValidation
from pruneproof.backbones.builtin.settings import TrainingSettings
from pruneproof.backbones.builtin.tokenizer import IMAGE, clip_tokenizer, language_tokenizer, train_tokenizer
from pruneproof.backbones.builtin.tower_training import TowerTrainer
from pruneproof.errors import PruneProofError
from pruneproof.files import write_json, write_text
from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.study import read_yaml

log = logging.getLogger(__name__)

NAME = "builtin_llava"


def load_settings(path: Path) -> TrainingSettings:
    """Read and validate a training's settings.

    Raises:
        PruneProofError: naming every problem.
    """
    values, _, repeated = read_yaml(path)
    problems = [f"{'.'.join(map(str, problem.where))}: {problem.what}" for problem in repeated]
    try:
        settings = TrainingSettings.model_validate(values)
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
    if problems:
        raise PruneProofError(f"{path}: {'; '.join(problems)}")
    return settings


def run(study: Study, folders: Folders) -> None:
    """Train `builtin_llava` by `data/backbones/builtin_llava.yaml` and write it to `data/backbones/builtin_llava`."""
    home = folders.study / study.study.root / "data" / "backbones"
    train(load_settings(home / f"{NAME}.yaml"), home / ".training", home / NAME)


def train(settings: TrainingSettings, work: Path, target: Path) -> TrainingReport:
    """Train and save one model.

    Args:
        settings: shapes, steps and seed.
        work: folder for scenes, features and checkpoints; a second call with the same settings goes on from there.
        target: folder of the finished model.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(machine.workers())
    device = machine.device()
    work.mkdir(parents=True, exist_ok=True)
    _refuse_other_settings(settings, work)
    cache = scene_cache.load(work / "scenes", settings.seed, "train", settings.scenes, machine.workers())
    unseen = scene_cache.load(work / "scenes", settings.seed, "validation", settings.validation, machine.workers())
    tokenizer = train_tokenizer(settings.seed, settings.vocabulary)
    text, pair = language_tokenizer(tokenizer), clip_tokenizer(tokenizer)
    torch.manual_seed(settings.seed)
    config = open_clip_config(settings.tower, len(pair), pair.pad_token_id, pair.eos_token_id)
    clip = build_clip(config)
    tower = TowerTrainer(clip, pair, cache, settings, device)
    seconds = tower.train_aided(work)
    features = tower_features(clip.visual, cache, work / "train_features.npy", settings.tower.width)
    unseen_features = tower_features(clip.visual, unseen, work / "validation_features.npy", settings.tower.width)
    seconds["tower_contrastive"] = tower.train_contrastive(features, work)
    ids = {"pad": text.pad_token_id, "bos": text.bos_token_id, "eos": text.eos_token_id}
    ids["image"] = text.convert_tokens_to_ids(IMAGE)
    torch.manual_seed(settings.seed + 1)
    model = build_llava(settings, clip.state_dict(), len(text), ids)
    whiten_projector(model, torch.from_numpy(features[:200, 1:]).float())
    trainer = LanguageTrainer(model, text, settings, device)
    validation = LanguageValidation(unseen, unseen_features, settings.seed, settings.validation)
    seconds["language"] = trainer.train(cache, features, work, validation)
    report = TrainingReport(
        seconds=seconds,
        device=torch.cuda.get_device_name() if device.startswith("cuda") else f"CPU, {torch.get_num_threads()} threads",
        place_variance=variance_explained_by_place(unseen_features),
        known=validation.scores(trainer, held_out=False),
        held_out=validation.scores(trainer, held_out=True),
        parameters={
            "vision tower": sum(p.numel() for p in clip.visual.parameters()),
            "text tower": sum(p.numel() for p in clip.parameters()) - sum(p.numel() for p in clip.visual.parameters()),
            "projector": sum(p.numel() for p in model.model.multi_modal_projector.parameters()),
            "language model": sum(
                p.numel() for p in (*model.model.language_model.parameters(), *model.lm_head.parameters())
            ),
        },
    )
    export(target, model, clip, config, text, pair)
    write_json(target / "training.json", {"settings": settings.model_dump(), "report": asdict(report)})
    write_text(target / "README.md", card(settings, report))
    return report


def _refuse_other_settings(settings: TrainingSettings, work: Path) -> None:
    """Checkpoints of one setting must not be continued by another; the remark changes nothing that is trained."""
    note = work / "settings.json"
    text = settings.model_dump_json(indent=2, exclude={"remark"})
    if note.exists() and note.read_text() != text:
        raise PruneProofError(f"{work} holds checkpoints of other settings: delete the folder to train anew")
    write_text(note, text)
