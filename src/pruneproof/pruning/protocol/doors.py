"""What a method says about itself, and what it does at its door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, TypeAlias

import numpy as np

from pruneproof.pruning.protocol.kept import Kept
from pruneproof.pruning.protocol.signals import Signals
from pruneproof.pruning.protocol.views import LanguageLayer, Texts, TowerLayer, VisualTokens

Door: TypeAlias = Literal["input", "tower", "before_connector", "after_connector", "language"]
"""Where a method acts, in the order in which a picture passes the doors."""

Kind: TypeAlias = Literal["full", "control", "attention", "diversity", "text-guided", "merging", "language"]
"""What a method goes by, which colours and tables group it by: nothing (`full`), chance or size alone (`control`), the
vision tower's attention, spread over the picture, the question, merging like with like, or the language model's own
attention."""


class Method(ABC):
    """What every method says about itself, without torch. Derive from the class of its door, not from this one."""

    __slots__ = ()

    @property
    @abstractmethod
    def title(self) -> str:
        """What figures and tables call it: `FastV`."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """What it goes by."""

    @property
    @abstractmethod
    def door(self) -> Door:
        """Where it acts."""

    @property
    def adaptation(self) -> str:
        """What stands for something that its paper needs, told under tables; empty for the published method."""
        return ""

    @property
    def per_question(self) -> bool:
        """Whether different questions on one picture may keep different tokens."""
        return False

    @property
    def signals(self) -> Signals:
        """What it looks at besides the tokens themselves."""
        return Signals()

    @abstractmethod
    def budget(self, count: int, layers: int) -> tuple[int, ...] | None:
        """Visual tokens at each layer of the language model, if the connector passes tokens on one by one.

        Args:
            count: tokens of the unpruned model.
            layers: of the language model.

        Returns:
            As many numbers as layers, which the language model is held to, CLS counted if `Kept.cls`; None if the
            number depends on the picture.
        """


class Resizes(Method):
    """A method at the picture itself: the tower reads it at a lower resolution, with interpolated positions."""

    __slots__ = ()
    door: Door = "input"

    @abstractmethod
    def side(self, side: int) -> int:
        """Patches on a side of the square that the tower reads, 1 to `side`, which the unpruned model has."""


class Reduces(Method):
    """A method inside the vision tower."""

    __slots__ = ()
    door: Door = "tower"

    @property
    def proportional(self) -> bool:
        """Whether each later layer adds the log of a token's size to the attention that it receives, as ToMe does."""
        return False

    @abstractmethod
    def reduce(self, layer: int, view: TowerLayer, rng: np.random.Generator) -> Kept | None:
        """Which of the N patches go on to the layer's feed-forward and to later layers; None for all.

        Called in every layer from 0 to `view.depth` - 1, picture by picture. After the tower, tokens come to the
        connector in ascending order of `index` among the picture's patches, those with -1 last.
        """


def encodes_itself(method: Method) -> bool:
    """Whether pictures are encoded otherwise with a method than without it."""
    return isinstance(method, Resizes | Reduces)


class Selects(Method):
    """A method before the connector, or after it: `door` says which."""

    __slots__ = ()

    @abstractmethod
    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        """Which of a picture's N tokens are kept for each question.

        Args:
            tokens: of the picture.
            texts: Q questions on it; looked at only by a method that is `per_question`.
            rng: a stream that depends on study, picture and what was done to it alone.

        Returns:
            Q selections, each of its own number of tokens, or a single one if the method is not `per_question`.
        """


class Narrows(Method):
    """A method inside the language model."""

    __slots__ = ()
    door: Door = "language"

    @property
    def per_question(self) -> bool:
        """True, unless the method looks at nothing but visual tokens that no text has changed."""
        return True

    @property
    def renumbers(self) -> bool:
        """Whether the tokens that are left get consecutive positions, as SparseVLM v1.5 and PyramidDrop give them;
        otherwise they keep the numbers that they had, as FastV's do, and the answer goes on from the whole prompt."""
        return False

    @abstractmethod
    def narrow(self, layer: int, view: LanguageLayer, rng: np.random.Generator) -> Kept | None:
        """Which of the N visual tokens go on to this layer and all later ones; None for all.

        Called once a prompt before every layer from 0, when the prompt is read; decoded tokens see what it left. A kept
        token stands where the token at its `index` stood, and one with -1 after the last visual token; without
        `renumbers` it has the position of the former, so that -1 is not possible.
        """
