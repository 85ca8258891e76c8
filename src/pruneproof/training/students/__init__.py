"""What is trained on the frozen tower's features: one module a family, behind one protocol.

A member exposes `ABOUT`, `student(settings, clip_state, tokenizer, glimpse) -> Student` and
`processor(settings, tokenizer)`, what turns pictures and conversations into the model's inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from pruneproof.training.dialogues import Dialogue
from pruneproof.training.scene_cache import SceneCache


@dataclass(frozen=True, slots=True)
class About:
    """What the model card says of a family, and what is asked of it."""

    description: str
    feature_layer: int
    """The tower's layer that the connector reads: -1 is the last."""
    aids: tuple[str, ...]
    """Training aids of the language phase; `card.card` fills in their numbers."""
    demands: Mapping[str, float]
    """Least accuracy in percent, on unseen clean scenes, for a kind of question to enter a study's claims."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Some scenes as the tower sees them, to set first weights by."""

    features: Tensor
    """[N, 257, D] output of the layer that the connector reads, CLS first."""
    patches: Tensor
    """[n, 588] normalised pixels."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a student says where a token of an answer is to be predicted."""

    logits: Tensor
    """[T, vocabulary]."""
    targets: Tensor
    """[T] token ids."""
    image: Tensor
    """[T] index of the image in the batch."""
    lesson: Tensor
    """[T] index of the lesson among all of its image, dialogue by dialogue."""
    states: tuple[Tensor, ...] = ()
    """[B, S, W] of the questions' tokens after each layer of the language model but the last."""


class Student(Protocol):
    """A vision-language model in training, its tower left out."""

    @property
    def model(self) -> Any:
        """The transformers model that is saved at the end."""
        ...

    def trained(self) -> Mapping[str, nn.Module]:
        """The modules that are trained, throw-away ones too."""
        ...

    def read(self, features: Tensor) -> Tensor:
        """Tower features [B, 257, D], CLS first, to what the language model reads of an image [B, V, W]."""
        ...

    def predict(self, visual: Tensor, dialogues: Sequence[Sequence[Dialogue]]) -> Predictions:
        """Answers to the lessons in the dialogues of each image, from what `read` gave."""
        ...

    def aid(self, visual: Tensor, cache: SceneCache, chosen: Sequence[int], rng: np.random.Generator) -> Tensor:
        """The loss of this family's training aid on scenes `chosen`; it is switched off before the end."""
        ...
