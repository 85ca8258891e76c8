"""The one dispatcher of doors: what a method does to some pictures before the language model reads them, and in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from pruneproof.answering.chosen import require_kept, require_selections
from pruneproof.answering.declared import DeclaredTokens
from pruneproof.answering.replay import Replay
from pruneproof.answering.views import ConnectedTokens, Questions
from pruneproof.backbones import Backbone, Narrowing, Reduction, Reply, Shown
from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import (
    Kept,
    LanguageLayer,
    Method,
    Narrows,
    Reduces,
    Resizes,
    Selects,
    TowerLayer,
    VisualTokens,
)

Stream: TypeAlias = Callable[[], np.random.Generator]
"""Makes the random stream of a picture, always from its beginning."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture with the questions that its tokens are selected by."""

    tokens: VisualTokens
    questions: tuple[str, ...]
    stream: Stream
    looked_at: VisualTokens | None = None
    """Tokens of the picture that a method looks at, if that is another one."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is left of a picture for one question, before the language model."""

    read: tuple[VisualTokens, Kept]
    """What the connector reads."""
    shown: Shown
    """What the language model is given."""
    count: int
    """Tokens that are left after the method's door; all of them if it acts in the language model."""
    patches: Tensor
    """int64 the patches that they are, or were merged around."""


def encode(
    backbone: Backbone,
    method: Method,
    images: Sequence[Image],
    streams: Sequence[Stream],
    looked_at: Sequence[Image] | None = None,
) -> list[VisualTokens]:
    """The vision tower's output with a method that acts at the picture or inside the tower, or with none.

    Args:
        backbone: a loaded model.
        method: at any door.
        images: decoded pictures.
        streams: of the pictures.
        looked_at: the pictures that the method looks at, if those are others.
    """
    if isinstance(method, Resizes):
        return backbone.encode(images, side=method.side)
    if isinstance(method, Reduces):
        replay = Replay(_reducing(method, [stream() for stream in streams]))
        if looked_at is None:
            return backbone.encode(images, reduction=Reduction(replay.decide, method.proportional))
        backbone.encode(looked_at, reduction=Reduction(replay.record, method.proportional))
        return backbone.encode(images, reduction=Reduction(replay.again, method.proportional))
    return backbone.encode(images)


def show(backbone: Backbone, method: Method, pictures: Sequence[Picture]) -> list[list[Seen]]:
    """What every question of some pictures sees; those that see the same get the same `Shown`.

    Args:
        backbone: a loaded model.
        method: at any door; what it does inside the tower is done already.
        pictures: with their questions.

    Returns:
        For each picture, one for each of its questions.
    """
    if isinstance(method, Selects) and method.door == "before_connector":
        kept = [_select(backbone, method, picture, picture.looked_at or picture.tokens) for picture in pictures]
        reads = [[(picture.tokens, one) for one in own] for picture, own in zip(pictures, kept, strict=True)]
        # Selections that serve several questions are one object.
        different = {id(one): (tokens, one) for own in reads for tokens, one in own}
        connected = _connect(backbone, list(different.values()))
        seen = {
            number: Seen((tokens, one), connected[number], one.count + _with_cls(one, tokens), _own(tokens, one))
            for number, (tokens, one) in different.items()
        }
        return [[seen[id(one)] for _, one in own] for own in reads]
    reading = [(picture.tokens, everything(picture.tokens)) for picture in pictures]
    connected = _connect(backbone, reading)
    found: list[list[Seen]] = []
    for picture, read in zip(pictures, reading, strict=True):
        shown = connected[id(read[1])]
        if not isinstance(method, Selects):
            found.append([Seen(read, shown, read[0].count, _own(*read))] * len(picture.questions))
            continue
        tokens = _connected(backbone, shown, read[0])
        chosen: dict[tuple[object, ...], Seen] = {}
        for one in (own := _select(backbone, method, picture, _looked_at(backbone, picture) or tokens)):
            if one.key not in chosen:
                narrower = Shown(one.apply(shown.rows), _origin(tokens, one), shown.size)
                chosen[one.key] = Seen(read, narrower, one.count, _own(tokens, one))
        found.append([chosen[one.key] for one in own])
    return found


def narrowing(method: Method, streams: Sequence[Stream], weights: Mapping[str, Tensor]) -> Narrowing | None:
    """What a method does inside the language model; None if it acts elsewhere.

    Args:
        method: at any door.
        streams: for each question, that of its picture.
        weights: that the method brings.
    """
    if not isinstance(method, Narrows):
        return None
    rngs = [stream() for stream in streams]

    def decide(question: int, layer: int, view: LanguageLayer) -> Kept | None:
        kept = method.narrow(layer, view, rngs[question])
        return None if kept is None else require_kept(kept, len(view.visual))

    return Narrowing(decide, method.renumbers, weights)


def replayed(inside: Narrowing) -> tuple[Narrowing, Narrowing]:
    """A method inside the language model that does again what it did elsewhere, and the one that does it there."""
    replay = Replay(inside.decide)
    return replace(inside, decide=replay.again), replace(inside, decide=replay.record)


def require_budget(backbone: Backbone, method: Method, seen: Seen, reply: Reply) -> None:
    """Hold the language model to a method's budget, by what its layers really read.

    Only tokens that the connector passes on one by one can be counted there.

    Raises:
        MethodError: naming the first layer with another number.
    """
    budget = method.budget(seen.read[0].start, backbone.layers)
    if budget is None or backbone.mixing or reply.visual == budget:
        return
    layer, meant, found = next(
        (i, *both) for i, both in enumerate(zip(budget, reply.visual, strict=True)) if both[0] != both[1]
    )
    raise MethodError(
        f"leaves layer {layer} of the language model {found} visual tokens, and its `budget` says {meant}: the two "
        "must agree"
    )


def whole(backbone: Backbone, tokens: VisualTokens) -> Shown:
    """What the unpruned model is shown of a picture."""
    kept = everything(tokens)
    return _connect(backbone, [(tokens, kept)])[id(kept)]


def everything(tokens: VisualTokens) -> Kept:
    """All tokens."""
    return Kept(torch.arange(tokens.count, device=tokens.features.device))


def _looked_at(backbone: Backbone, picture: Picture) -> ConnectedTokens | None:
    """The tokens after the connector of the picture that a method looks at, if that is another one."""
    if picture.looked_at is None:
        return None
    return _connected(backbone, whole(backbone, picture.looked_at), picture.looked_at)


def _connected(backbone: Backbone, shown: Shown, tokens: VisualTokens) -> ConnectedTokens:
    """What a method sees of a picture after the connector.

    Args:
        backbone: a loaded model.
        shown: all of the picture.
        tokens: what the connector read.
    """
    rows = shown.rows[:, : shown.rows.shape[1] - backbone.set_aside]
    return ConnectedTokens(rows, None if backbone.mixing else tokens, shown.size)


def _select(backbone: Backbone, method: Selects, picture: Picture, tokens: VisualTokens) -> list[Kept]:
    """One for each question, indices on the model's device."""
    texts = Questions(picture.questions, backbone, method.signals)
    declared = DeclaredTokens(tokens, method.signals, backbone.lacking)
    given = method.select(declared, texts, picture.stream())
    kept = require_selections(given, len(picture.questions), method.per_question)
    if picture.looked_at is not None and picture.looked_at.count != picture.tokens.count:
        raise MethodError(
            f"has `rank_from: clean`, which needs as many tokens in the clean picture ({picture.looked_at.count}) as "
            f"in the one that is shown ({picture.tokens.count}): their sizes differ"
        )
    placed = [require_kept(one, tokens.count).to(backbone.device) for one in kept]
    return placed if method.per_question else placed * len(picture.questions)


def _connect(backbone: Backbone, pairs: Sequence[tuple[VisualTokens, Kept]]) -> dict[int, Shown]:
    """What the connector makes of some pairs, by `id` of the selection; equal pairs are connected once."""
    keys = {id(kept): (id(tokens), kept.key) for tokens, kept in pairs}
    different = {keys[id(kept)]: (tokens, kept) for tokens, kept in pairs}
    rows = backbone.connect(list(different.values()))
    shown: dict[tuple[int, tuple[object, ...]], Shown] = {}
    for (key, (tokens, kept)), row in zip(different.items(), rows, strict=True):
        mixed = torch.full((len(row),), -1, device=row.device)
        shown[key] = Shown(row, mixed if backbone.mixing else _origin(tokens, kept), tokens.size)
    return {number: shown[key] for number, key in keys.items()}


def _origin(tokens: VisualTokens, kept: Kept) -> Tensor:
    """int64 [K] patches that kept tokens are, or were merged around; CLS first, if it goes on too."""
    origin = torch.where(kept.index < 0, -1, tokens.origin[kept.index.clamp(min=0)])
    return torch.cat([origin.new_full((_with_cls(kept, tokens),), -1), origin])


def _own(tokens: VisualTokens, kept: Kept) -> Tensor:
    """int64 the patches among them, ascending."""
    origin = _origin(tokens, kept)
    return origin[origin >= 0].sort().values


def _with_cls(kept: Kept, tokens: VisualTokens) -> int:
    return len(tokens.cls) if kept.cls else 0


def _reducing(method: Reduces, rngs: Sequence[np.random.Generator]) -> Callable[[int, int, TowerLayer], Kept | None]:
    def decide(picture: int, layer: int, view: TowerLayer) -> Kept | None:
        kept = method.reduce(layer, view, rngs[picture])
        return None if kept is None else require_kept(kept, view.count)

    return decide
