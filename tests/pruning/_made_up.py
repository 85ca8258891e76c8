"""Made-up pictures and questions for tests of single methods: every signal of the protocol, from a seed.

Half of them hold many ties: features and keys whose cosines are exact multiples of a quarter, and scores out of a few
values, so that a tie is one in any arithmetic. The others hold none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from pruneproof.pruning.protocol import Kept, Selects
from pruneproof.seeds import generator

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

QUESTIONS = ("is there a car?", "is there a dog?", "how many boats?")


@dataclass(frozen=True)
class Picture:
    """Implements `VisualTokens`; a layer that was not made up is a KeyError, so that a method cannot look elsewhere."""

    features: Tensor
    places: Tensor
    cls: Tensor
    of_cls: Mapping[int, Tensor]
    of_all: Mapping[int, Tensor]
    by_head: Mapping[int, Tensor]
    in_clip: Mapping[int, Tensor]
    size: tuple[int, int] = (224, 224)

    @property
    def count(self) -> int:
        return len(self.features)

    start = count

    @property
    def origin(self) -> Tensor:
        return torch.arange(self.count)

    @property
    def tower_features(self) -> Tensor:
        return self.features

    def cls_attention(self, layer: int) -> Tensor:
        return self.of_cls[layer]

    def joined_attention(self, layer: int) -> Tensor:
        return self.of_cls[layer]

    def received_attention(self, layer: int) -> Tensor:
        return self.of_all[layer]

    def keys(self, layer: int) -> Tensor:
        return self.by_head[layer]

    def projected(self, layer: int) -> Tensor:
        return self.in_clip[layer]

    def aligned(self, layer: int) -> Tensor:
        return torch.nn.functional.normalize(self.in_clip[layer], dim=-1)


@dataclass(frozen=True)
class Words:
    """Implements `Texts`."""

    projected: Tensor
    questions: tuple[str, ...] = field(default=QUESTIONS)

    @property
    def in_clip(self) -> Tensor:
        return torch.nn.functional.normalize(self.projected, dim=-1)

    def words(self, index: int) -> Tensor:
        raise NotImplementedError

    def only(self, number: int) -> Words:
        return replace(
            self, projected=self.projected[number : number + 1], questions=self.questions[number : number + 1]
        )


LAYERS = (-1, -2, 8, 1)
"""Layers whose signals are made up: those that methods look at by default, and one more."""


def picture(rows: int, columns: int, seed: int, tied: bool = False, grids: int = 1) -> Picture:
    """A picture of one or more grids of patches."""
    rng = torch.Generator().manual_seed(seed)
    count = grids * rows * columns

    def vectors(*shape: int) -> Tensor:
        if tied:
            # Length 1 to the last bit, whatever the order of summation.
            return torch.nn.functional.pad(torch.randint(0, 2, (*shape, 4), generator=rng) - 0.5, (0, 8))
        return torch.randn(*shape, 12, generator=rng)

    def scores() -> Tensor:
        if tied:
            return torch.randint(1, 5, (count,), generator=rng) / 64
        return torch.randn(count, generator=rng).mul(2).softmax(-1) * 0.9

    place = torch.cartesian_prod(torch.arange(grids), torch.arange(rows), torch.arange(columns)).view(-1, 3)
    return Picture(
        vectors(count),
        place,
        vectors(1),
        {layer: scores() for layer in LAYERS},
        {layer: scores() for layer in LAYERS},
        # One head where cosines must be exact.
        {layer: vectors(1, count) if tied else vectors(3, count) for layer in LAYERS},
        {layer: vectors(count) * (1.0 if tied else 3.0) for layer in LAYERS},
    )


def words(seed: int, tied: bool = False) -> Words:
    """Three questions."""
    rng = torch.Generator().manual_seed(seed + 1)
    if tied:
        return Words(torch.nn.functional.pad(torch.randint(0, 2, (3, 4), generator=rng) - 0.5, (0, 8)))
    return Words(torch.randn(3, 12, generator=rng) * 2)


pictures = st.builds(
    picture,
    rows=st.integers(1, 7),
    columns=st.integers(1, 7),
    seed=st.integers(0, 10_000),
    tied=st.booleans(),
)
"""Pictures of 1 to 49 patches, odd numbers among them."""

squares = st.integers(1, 7).flatmap(
    lambda side: st.builds(
        picture, rows=st.just(side), columns=st.just(side), seed=st.integers(0, 10_000), tied=st.booleans()
    )
)
"""Square pictures, with ties or without."""

shares = st.one_of(st.sampled_from([1e-6, 1 / 3, 2 / 9, 1 / 9, 0.25, 0.6, 1.0]), st.floats(0.01, 1.0))
"""Shares of tokens kept: one token, published ones, all, and any other."""


def chosen(method: Selects, one: Picture, texts: Words | None = None) -> list[Kept]:
    """What a method selects, checked for what all must hold to."""
    texts = texts or words(0)
    found = method.select(one, texts, generator(0))
    assert len(found) == (len(texts.questions) if method.per_question else 1)
    budget = method.budget(one.count, 3)
    for kept in found:
        if budget is not None:
            assert (kept.count + kept.cls * len(one.cls),) * 3 == budget
        check(kept, one.count)
    return found


def check(kept: Kept, count: int) -> None:
    """What any selection out of so many tokens must hold to."""
    assert kept.index.dtype == torch.int64
    real = kept.index[kept.index >= 0]
    assert len(real.unique()) == len(real)
    assert not len(real) or int(real.max()) < count
    if kept.weights is None:
        assert len(real) == kept.count
    else:
        assert kept.weights.shape == (kept.count, count)
        assert bool(kept.weights.isfinite().all())


def is_everything(found: list[Kept], one: Picture) -> bool:
    """Whether selections are the unpruned picture."""
    return all(
        kept.index.tolist() == list(range(one.count))
        and not kept.cls
        and (kept.weights is None or torch.equal(kept.weights, torch.eye(one.count)))
        for kept in found
    )
