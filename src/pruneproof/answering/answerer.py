"""Answers one batch with one backbone and one method."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pruneproof import backbones, registry
from pruneproof.answering.features import FeatureStore
from pruneproof.answering.grid import AskedImage, Batch, Question, prompt_history, prompt_text
from pruneproof.backbones import Backbone, EncodedImage, Reply
from pruneproof.pruning import Pruner
from pruneproof.records import ANSWERS, LOGITS, Condition
from pruneproof.seeds import generator
from pruneproof.settings import BackboneSettings, MethodSettings

_DECIMALS = 3
"""Logits are stored to this many decimals; the last one may still differ by one (`records.LOGIT_NOISE`)."""

FINISHED = pa.schema([*ANSWERS, *(LOGITS.field(name) for name in ("yes_logit", "no_logit"))])
"""A finished batch in the store: rows of `ANSWERS`, and their logits."""


def build_pruner(settings: MethodSettings) -> Pruner:
    """The method of some settings."""
    module = registry.load_module("pruneproof.pruning", settings.method, "pruning method")
    pruner: Pruner = module.build(module.Settings.model_validate(settings.options))
    return pruner


def pruning_stream(study_seed: int, image_id: str, condition: Condition) -> np.random.Generator:
    """The random stream of a method on one image under one condition, the same for all questions on it."""
    return generator(study_seed, "pruning", image_id, condition.condition_id)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question on one image, and the tokens that the method keeps for it."""

    question: Question
    image: EncodedImage
    kept: Tensor
    """[K] indices, ascending."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """A loaded backbone with a method."""

    backbone: Backbone
    pruner: Pruner
    settings: BackboneSettings
    study_seed: int
    features: FeatureStore

    def answer(self, batch: Batch) -> pa.Table:
        """Answer every question of a batch.

        Each image passes the vision tower once, whatever is asked on it. Questions that see the same tokens are
        answered behind one reading of them; the others, and the long captions, are pooled over the batch's images.

        Returns:
            A table of schema `FINISHED`, one row per sample.
        """
        images = self.features.encode(
            self.backbone, [image.png for image in batch.images], self.pruner.attention_layers
        )
        asked = [
            self._select(batch.condition, image, tokens, caption)
            for image, tokens in zip(batch.images, images, strict=True)
            for caption in (False, True)
        ]
        questions, captions = asked[::2], asked[1::2]
        pools = [_joined(questions)] if self.pruner.question_dependent else questions
        alike = (part for pool in (*pools, _joined(captions)) for part in _of_one_length(pool))
        replies = {id(one): reply for part in alike for one, reply in self._reply(part)}
        rows = _joined(asked)
        return _table(batch.condition, rows, [replies[id(one)] for one in rows])

    def _select(self, condition: Condition, image: AskedImage, tokens: EncodedImage, caption: bool) -> list[_Asked]:
        questions = [question for question in image.questions if question.caption == caption]
        if not questions:
            return []
        rng = pruning_stream(self.study_seed, image.image_id, condition)
        kept = self.pruner.select(tokens, [question.selecting or question.text for question in questions], rng)
        return [_Asked(q, tokens, row) for q, row in zip(questions, kept.expand(len(questions), -1), strict=True)]

    def _reply(self, pool: list[_Asked]) -> Iterable[tuple[_Asked, Reply]]:
        alike = not self.pruner.question_dependent and all(one.image is pool[0].image for one in pool)
        shown = pool[:1] if alike else pool
        longest = self.settings.max_caption_tokens if pool[0].question.caption else self.settings.max_new_tokens
        replies = self.backbone.answer(
            [one.image for one in shown],
            [prompt_text(one.question, self.settings) for one in pool],
            torch.stack([one.kept for one in shown]),
            longest,
            [prompt_history(one.question, self.settings) for one in pool],
        )
        return zip(pool, replies, strict=True)


def _joined(lists: Iterable[list[_Asked]]) -> list[_Asked]:
    return [one for part in lists for one in part]


def _of_one_length(pool: list[_Asked]) -> Iterable[list[_Asked]]:
    """Parts of a pool that keep equally many tokens: pictures of different sizes may have different numbers of them."""
    parts: dict[int, list[_Asked]] = {}
    for one in pool:
        parts.setdefault(len(one.kept), []).append(one)
    return parts.values()


def _table(condition: Condition, asked: list[_Asked], replies: list[Reply]) -> pa.Table:
    """One row per sample; a sample that shares its question with others gets the same answer."""
    rows = [i for i, one in enumerate(asked) for _ in one.question.sample_ids]
    kept = [asked[i].kept.cpu().numpy().astype(np.int16) for i in rows]
    widths = [len(row) for row in kept]
    columns = [
        [condition.family] * len(rows),
        [condition.perturbation] * len(rows),
        pa.array([condition.severity] * len(rows), pa.int32()),
        [sample_id for one in asked for sample_id in one.question.sample_ids],
        [replies[i].text for i in rows],
        pa.ListArray.from_arrays(pa.array(np.cumsum([0, *widths]), pa.int32()), pa.array(np.concatenate(kept))),
        pa.array(widths, pa.int32()),
        pa.array([round(replies[i].yes_logit, _DECIMALS) for i in rows], pa.float32()),
        pa.array([round(replies[i].no_logit, _DECIMALS) for i in rows], pa.float32()),
    ]
    return pa.table([pa.array(column) for column in columns], schema=FINISHED)


def load_answerer(
    backbone: BackboneSettings,
    method: MethodSettings,
    study_seed: int,
    root: Path,
    device: str,
    features: FeatureStore,
) -> Answerer:
    """Load everything that answering needs; raises `PruneProofError` as `backbones.load` does."""
    return Answerer(backbones.load(backbone, root, device), build_pruner(method), backbone, study_seed, features)
