"""The questions on a picture as a method sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from pruneproof.answering.views import Questions
from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Signals


@dataclass(frozen=True, slots=True)
class Backbone:
    """Embeds a text as its letters' numbers after a mark for its beginning."""

    clip: Any = None
    lacking: Mapping[str, str] = field(default_factory=lambda: {"aligned": "it has no eyes"})

    def words(self, question: str) -> Tensor:
        return torch.tensor([[0.0], *([float(ord(letter))] for letter in question)])


def test_words_are_embedded_apart_from_one_another() -> None:
    backbone: Any = Backbone()
    texts = Questions(("a car", "b"), backbone, Signals())
    assert texts.embed(["a", "bc"])[:, 0].tolist() == [0, ord("a"), 0, ord("b"), ord("c")]
    assert texts.words(1)[:, 0].tolist() == [0, ord("b")]


def test_without_clip_there_is_no_space_to_compare_in() -> None:
    backbone: Any = Backbone()
    for look in ("in_clip", "projected"):
        for signals in (Signals(), Signals(aligned=(-1,))):
            with pytest.raises(MethodError, match=r"does not have it: it has no eyes; add `aligned=\(-1,\)`"):
                getattr(Questions(("a",), backbone, signals), look)


def test_questions_are_compared_in_clip_by_methods_that_declare_patches_there() -> None:
    backbone: Any = Backbone(SimpleNamespace(embed=lambda questions, tower, unit=True: [*questions, tower, unit]))
    with pytest.raises(MethodError, match=r"^looks at questions in CLIP space .* `signals`: add `aligned=\(-1,\)`$"):
        Questions(("a",), backbone, Signals(keys=(-1,))).in_clip  # noqa: B018
    assert list(Questions(("a",), backbone, Signals(aligned=(-2,))).in_clip) == ["a", "matched", True]
    control = Questions(("a",), backbone, Signals(projected=(-2,), text_tower="control"))
    assert list(control.projected) == ["a", "control", False]
