"""Answers one batch with one backbone and one method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pruneproof import backbones
from pruneproof.answering.batch import AskedImage, Batch, Question, prompt_history, prompt_text
from pruneproof.answering.features import FeatureStore
from pruneproof.answering.store import CELL
from pruneproof.backbones import Backbone, EncodedImage, Reply
from pruneproof.pruning import Pruner
from pruneproof.seeds import generator
from pruneproof.settings import BackboneSettings

_DECIMALS = 3
"""Logits are stored to this many decimals; the last one may still differ by one (`records.LOGIT_NOISE`)."""


def pruning_stream(study_seed: int, image_id: str, shown: str) -> np.random.Generator:
    """The random stream of a method on one picture, the same for all questions on it.

    Args:
        study_seed: of the study.
        image_id: of the benchmark.
        shown: what was done to the picture (`Batch.shown`). The wording of a question has no influence, so that
            the cost of rewording is not confused with that of drawing other tokens.
    """
    return generator(study_seed, "pruning", image_id, shown)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question on one image, and the tokens that the method keeps for it."""

    question: Question
    image: EncodedImage
    kept: Tensor
    """[K] indices, ascending."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """A loaded backbone."""

    backbone: Backbone
    settings: BackboneSettings
    study_seed: int
    features: FeatureStore
    attention_layers: tuple[int, ...] = ()
    """Layers whose CLS attention any method of the study looks at."""

    def encode(self, batch: Batch) -> Sequence[EncodedImage]:
        """The batch's images after the vision tower, for all methods."""
        return self.features.encode(self.backbone, [image.png for image in batch.images], self.attention_layers)

    def answer(self, batch: Batch, images: Sequence[EncodedImage], pruner: Pruner) -> pa.Table:
        """Answer every question of a batch.

        Questions are pooled over the batch's images, captions apart, because their answers are long.

        Args:
            batch: the questions.
            images: from `encode`.
            pruner: the method.

        Returns:
            A table of schema `store.CELL`, one row per question in the order of the batch.
        """
        asked = [
            self._select(pruner, batch.shown, image, tokens) for image, tokens in zip(batch.images, images, strict=True)
        ]
        rows = _joined(asked)
        questions, captions = ([one for one in rows if one.question.caption == kind] for kind in (False, True))
        alike = (part for pool in (questions, captions) for part in _of_one_length(pool))
        replies = {id(one): reply for part in alike for one, reply in self._reply(part)}
        return _table(rows, [replies[id(one)] for one in rows])

    def _select(self, pruner: Pruner, shown: str, image: AskedImage, tokens: EncodedImage) -> list[_Asked]:
        """The image's questions in their order, each with its tokens."""
        found: dict[int, _Asked] = {}
        for caption in (False, True):
            chosen = {i: question for i, question in enumerate(image.questions) if question.caption == caption}
            if chosen:
                rng = pruning_stream(self.study_seed, image.image_id, shown)
                kept = pruner.select(tokens, [q.selecting or q.text for q in chosen.values()], rng)
                rows = kept.expand(len(chosen), -1)
                found |= {i: _Asked(q, tokens, row) for (i, q), row in zip(chosen.items(), rows, strict=True)}
        return [found[i] for i in range(len(image.questions))]

    def _reply(self, pool: list[_Asked]) -> Iterable[tuple[_Asked, Reply]]:
        """Answers to questions that keep equally many tokens."""
        longest = self.settings.max_caption_tokens if pool[0].question.caption else self.settings.max_new_tokens
        replies = self.backbone.answer(
            [one.image for one in pool],
            [prompt_text(one.question, self.settings) for one in pool],
            torch.stack([one.kept for one in pool]),
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


def _table(asked: list[_Asked], replies: list[Reply]) -> pa.Table:
    kept = [one.kept.cpu().numpy().astype(np.int16) for one in asked]
    widths = [len(row) for row in kept]
    columns = [
        pa.array([reply.text for reply in replies], pa.string()),
        pa.ListArray.from_arrays(pa.array(np.cumsum([0, *widths]), pa.int32()), pa.array(np.concatenate(kept))),
        pa.array(widths, pa.int32()),
        pa.array([round(reply.yes_logit, _DECIMALS) for reply in replies], pa.float32()),
        pa.array([round(reply.no_logit, _DECIMALS) for reply in replies], pa.float32()),
    ]
    return pa.table(columns, schema=CELL)


def load_answerer(
    backbone: BackboneSettings,
    study_seed: int,
    root: Path,
    device: str,
    features: FeatureStore,
    attention_layers: tuple[int, ...],
) -> Answerer:
    """Load everything that answering needs; raises `PruneProofError` as `backbones.load` does."""
    loaded = backbones.load(backbone, root, device)
    return Answerer(loaded, backbone, study_seed, features, attention_layers)
