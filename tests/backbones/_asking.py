"""A backbone's steps from pictures to answers, with selections given as plain indices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pruneproof.backbones import Backbone, Components, History, Narrowing, Reply, Shown
from pruneproof.pruning.protocol import Kept, TextTowerName, VisualTokens


def shown(backbone: Backbone, images: Sequence[VisualTokens], kept: Tensor, count: int) -> list[Shown]:
    """What `count` questions are shown.

    Args:
        backbone: a loaded model.
        images: one for each question, or one for all.
        kept: int64 [count, K] or [1, K].
        count: of questions.
    """
    rows = kept.tolist()
    read = [(images[i if len(images) > 1 else 0], i if len(rows) > 1 else 0) for i in range(count)]
    different = {(id(image), tuple(rows[row])): (image, Kept(kept[row])) for image, row in read}
    connected = backbone.connect(list(different.values()))
    made = {
        key: Shown(row, torch.full((len(row),), -1) if backbone.mixing else image.origin[own.index], image.size)
        for (key, (image, own)), row in zip(different.items(), connected, strict=True)
    }
    return [made[id(image), tuple(rows[row])] for image, row in read]


def ask(
    backbone: Backbone,
    images: Sequence[VisualTokens],
    questions: Sequence[str],
    kept: Tensor,
    longest: int,
    histories: Sequence[History] = (),
    narrowing: Narrowing | None = None,
) -> list[Reply]:
    """Answers to questions on images of which some tokens are kept."""
    seen = shown(backbone, images, kept, len(questions))
    return backbone.answer(seen, questions, longest, histories, narrowing)


def components(backbone: Backbone, image: VisualTokens, question: str, kept: Tensor) -> Components:
    """The parts of one answer with the kept tokens [1, K]."""
    return backbone.components((image, Kept(kept[0])), shown(backbone, [image], kept, 1)[0], question)


def relevance(
    backbone: Backbone, image: VisualTokens, questions: Sequence[str], tower: TextTowerName = "matched"
) -> Tensor:
    """[Q, N] cosine of question and patch in CLIP space."""
    return backbone.clip.embed(questions, tower) @ image.aligned(-1).T
