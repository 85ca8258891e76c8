"""What a method itself computes, counted by letting it act on random numbers of the backbone's shape."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruneproof.answering.doors import narrowing
from pruneproof.backbones.clip.tower import LayerPatches
from pruneproof.backbones.flops.languages import attention_rows
from pruneproof.backbones.flops.parts import attention, linear
from pruneproof.backbones.language.beginnings import WholePrompt
from pruneproof.backbones.language.generation import CausalModel
from pruneproof.backbones.language.narrowing import continue_narrowed
from pruneproof.planning.amounts import Amount
from pruneproof.planning.counting import counted
from pruneproof.planning.pretended import PretendedTexts, PretendedTokens, heads_of
from pruneproof.planning.shapes import Shape
from pruneproof.pruning.protocol import LanguageLayer, Method, Narrows, Reduces, Resizes, Selects

_THIN = 64
"""Width of the language model in which operations are counted: their number does not depend on it."""
_AFTER = 12
"""Tokens after the image, likewise."""
_REDUCED_LAYER = 24
"""Operations of a vision-tower layer that is run by parts (`backbones.clip.tower`), beyond those of the layer."""


@dataclass(frozen=True, slots=True)
class OwnWork:
    """What a method adds."""

    picture: Amount = field(default_factory=Amount)
    """Once for a picture, under every condition."""
    question: Amount = field(default_factory=Amount)
    """For each question."""
    texts: bool = False
    """Whether it looks at the questions in CLIP's space."""
    tower: Amount | None = None
    """The vision tower on one picture, for a method that encodes pictures itself."""


@lru_cache(maxsize=1024)
def own_work(method: Method, shape: Shape, layers: int) -> OwnWork:
    """Count it; a method inside the language model that brings weights is taken for nothing.

    Args:
        method: at any door.
        shape: of the backbone.
        layers: of the language model.
    """
    rng = partial(np.random.default_rng, 0)
    if isinstance(method, Resizes):
        patches = method.side(shape.side) ** 2
        return OwnWork(tower=_tower(shape, [(patches, patches)] * _depth(shape)))
    if isinstance(method, Reduces):
        lengths, deciding = _reduced(method, shape)
        return OwnWork(tower=_tower(shape, lengths), picture=deciding)
    if isinstance(method, Narrows):
        return OwnWork() if method.signals.weights else OwnWork(question=_narrowed(method, shape, layers))
    assert isinstance(method, Selects)
    width = shape.width if method.door == "before_connector" else shape.text.hidden_size
    texts = [PretendedTexts(shape, ("Is it?",) * count) for count in (1, 2)]
    tokens = PretendedTokens(shape, width)
    making = counted(lambda: _looked_at(method, tokens))
    with torch.inference_mode():
        one, two = (counted(partial(method.select, tokens, own, rng())) for own in texts)
    each = two + one * -1.0 if method.per_question else Amount()
    return OwnWork(one + each * -1.0 + making * -1.0, each, bool(texts[0].looked))


def _looked_at(method: Selects, tokens: PretendedTokens) -> None:
    """The making of the random numbers that the method looks at."""
    for name, wanted in method.signals.by_name().items():
        for layer in wanted:
            getattr(tokens, name)(layer)


def _depth(shape: Shape) -> int:
    """Layers of the vision tower up to the one that the connector reads."""
    read = getattr(shape.config, "vision_feature_layer", None)
    return range(shape.tower_layers + 1)[read] if isinstance(read, int) else shape.tower_layers


def _tower(shape: Shape, lengths: list[tuple[int, int]]) -> Amount:
    """The tower on one picture whose layers attend over some patches and go on with others: (before, after)."""
    width, inner = shape.vision.hidden_size, shape.vision.intermediate_size
    total = linear(lengths[0][0], 3 * shape.vision.patch_size**2, width)
    for before, after in lengths:
        total += 4 * linear(before + 1, width, width) + attention(before + 1, before + 1, width)
        total += 2 * linear(after + 1, width, inner)
    return Amount(flops=total, layers=len(lengths), operations=_REDUCED_LAYER * len(lengths), items=1)


def _reduced(method: Reduces, shape: Shape) -> tuple[list[tuple[int, int]], Amount]:
    """Patches before and after each layer's decision, and the work of deciding."""
    width, heads, depth = shape.vision.hidden_size, heads_of(shape.vision), _depth(shape)
    left, found, deciding = shape.tokens, list[tuple[int, int]](), Amount()
    rng, made = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for layer in range(depth):
        state = torch.randn(1 + left, width, generator=made)
        keys = torch.randn(heads, 1 + left, width // heads, generator=made)
        view = LayerPatches(depth, shape.tokens, state, keys[:, 0], keys, torch.ones(left), None)
        deciding += counted(partial(method.reduce, layer, view, rng))
        kept = method.reduce(layer, view, rng)
        before, left = left, left if kept is None else kept.count
        found.append((before, left))
    return found, deciding


class _Watched:
    """A prompt before a layer that takes note of the attention that is worked out for a method."""

    def __init__(self, view: LanguageLayer, text: Any, seen: list[int]) -> None:
        self._view, self._text, self._seen = view, text, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def attention(self, rows: Tensor, previous: bool = False) -> Tensor:
        """As of `LanguageLayer`."""
        self._seen.append(attention_rows(self._text, len(rows), len(self._view.state)))
        return self._view.attention(rows, previous)

    def keys(self, previous: bool = False) -> Tensor:
        """As of `LanguageLayer`."""
        self._seen.append(attention_rows(self._text, 0, len(self._view.state)))
        return self._view.keys(previous)


def _narrowed(method: Narrows, shape: Shape, layers: int) -> Amount:
    """What one more prompt adds to reading prompts, apart from the layers themselves."""
    from transformers import LlamaConfig, LlamaModel

    kind: Any = LlamaModel
    config = LlamaConfig(
        hidden_size=_THIN, intermediate_size=_THIN, num_hidden_layers=layers, num_attention_heads=4, vocab_size=8
    )
    torch.manual_seed(0)
    model = CausalModel(kind(config).eval(), torch.nn.Linear(_THIN, 8), frozenset())
    count = shape.tokens
    prompts = [
        WholePrompt(i, torch.randn(1 + count + _AFTER, _THIN), torch.arange(1, 1 + count), _AFTER, i) for i in range(3)
    ]
    found: list[Amount] = []
    for some in (2, 3):
        inside = narrowing(method, [partial(np.random.default_rng, 0)] * some, {})
        assert inside is not None
        seen, decide = list[int](), inside.decide

        def watched(question: int, layer: int, view: LanguageLayer, decide: Any = decide, seen: Any = seen) -> Any:
            return decide(question, layer, _Watched(view, shape.text, seen))

        watching = replace(inside, decide=watched)
        done = counted(partial(continue_narrowed, model, prompts[:some], watching, 1))
        found.append(Amount(flops=sum(seen), operations=done.operations))
    return found[1] + found[0] * -1.0
