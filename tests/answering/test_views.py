"""The questions on a picture as a method sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from pruneproof.answering.views import Questions
from pruneproof.errors import PruneProofError


@dataclass(frozen=True, slots=True)
class Backbone:
    """Embeds a text as its letters' numbers after a mark for its beginning."""

    clip = None

    def words(self, question: str) -> Tensor:
        return torch.tensor([[0.0], *([float(ord(letter))] for letter in question)])


def test_words_are_embedded_apart_from_one_another() -> None:
    backbone: Any = Backbone()
    texts = Questions(("a car", "b"), backbone, "matched")
    assert texts.embed(["a", "bc"])[:, 0].tolist() == [0, ord("a"), 0, ord("b"), ord("c")]
    assert texts.words(1)[:, 0].tolist() == [0, ord("b")]


def test_without_clip_there_is_no_space_to_compare_in() -> None:
    backbone: Any = Backbone()
    for look in ("in_clip", "projected"):
        with pytest.raises(PruneProofError, match="the backbone has none: its `signals` must say `aligned`"):
            getattr(Questions(("a",), backbone, "matched"), look)
