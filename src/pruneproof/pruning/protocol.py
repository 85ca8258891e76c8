"""The five doors at which a method can act, and what it is given and gives back at each.

To add a method, write one module `pruneproof/pruning/<name>.py` with

- `Settings`, a frozen pydantic model of its options (`settings.Frozen`, a docstring under each field), and
- `build(settings) -> Method`, which gives a frozen dataclass derived from the class of its door.

That file says everything about the method: how figures call it (`title`), which kind it is (`kind`), how many tokens it
leaves (`budget`), what it needs to see (`signals`), and, in its docstring, which published code it follows and which
part of that code it leaves out. Nothing else has to change but params.yaml. Import torch inside functions only, so that
options can be validated, and figures labelled, without it.

A picture passes the doors in this order:

| door | derive from | given | gives back |
|---|---|---|---|
| `input` | `Resizes` | patches on a side of the square that the tower reads | patches on a side of a smaller one |
| `tower` | `Reduces` | a layer of the vision tower, after its attention | `Kept`, or None for all patches |
| `before_connector` | `Selects` | the tower's patches, and the questions | a `Kept` for each question, or one for all |
| `after_connector` | `Selects` | what the connector makes of them, and the questions | the same |
| `language` | `Narrows` | a layer of the language model, for one prompt | `Kept`, or None for all visual tokens |

`Kept` says which tokens go on, in which order, and how they are mixed of those given: `Kept(index)` for a plain
selection, `Kept(index, weights)` where tokens are merged. Whoever holds the door applies it to the states, and keeps
count of where every token comes from; a method never changes what it is given. A method that needs a random number
takes it from the `rng` that it is given, which depends on the study's seed and the picture alone. It cannot tell, and
need not, whether the model reads the very picture that it looks at: with `rank_from: clean`, an option of every method,
it is shown the clean picture where the model reads the corrupted one.

A whole method at the door before the connector, as an example; `Frozen` and `Share` are in `pruneproof.settings`,
`kept_count` and `top_k` in `pruneproof.pruning`:

    class Settings(Frozen):
        keep: Share

    @dataclass(frozen=True, slots=True)
    class FasterVlm(Selects):
        settings: Settings
        title = "FasterVLM"
        kind = "attention"
        door = "before_connector"
        signals = Signals(cls_attention=(-2,))

        def budget(self, count: int, layers: int) -> tuple[int, ...]:
            return (kept_count(self.settings.keep, count),) * layers

        def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
            kept = kept_count(self.settings.keep, tokens.count)
            return [Kept(top_k(tokens.cls_attention(-2), kept))]

    def build(settings: Settings) -> FasterVlm:
        return FasterVlm(settings)

Layers are numbered as a Python list: 0 is the first, -1 the last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Door: TypeAlias = Literal["input", "tower", "before_connector", "after_connector", "language"]
"""Where a method acts, in the order in which a picture passes the doors."""

Kind: TypeAlias = Literal["full", "control", "attention", "diversity", "text-guided", "merging", "language"]
"""What a method goes by, which colours and tables group it by: nothing (`full`), chance or size alone (`control`), the
vision tower's attention, spread over the picture, the question, merging like with like, or the language model's own
attention."""

TextTowerName: TypeAlias = Literal["matched", "control"]
"""The text half of the vision tower's own CLIP pair, or the backbone's `control_text_tower`."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What a method looks at besides the tokens themselves.

    It is said in advance, because encoded pictures are kept without their tower, and because a family whose tokens have
    no such signal must refuse the method before any work is done.
    """

    cls_attention: tuple[int, ...] = ()
    """Layers of the vision tower whose `VisualTokens.cls_attention` it looks at."""
    joined_attention: tuple[int, ...] = ()
    """Of `VisualTokens.joined_attention`."""
    received_attention: tuple[int, ...] = ()
    """Of `VisualTokens.received_attention`."""
    keys: tuple[int, ...] = ()
    """Of `VisualTokens.keys`."""
    aligned: tuple[int, ...] = ()
    """Of `VisualTokens.aligned`."""
    projected: tuple[int, ...] = ()
    """Of `VisualTokens.projected`."""
    text_tower: TextTowerName = "matched"
    """Which text tower makes `Texts.in_clip` and `Texts.projected`."""
    patches: bool = False
    """Whether it looks at `VisualTokens.places` or `tower_features`."""
    weights: str = ""
    """A safetensors file that it brings, relative to the project's root (`LanguageLayer.weights`); empty for none."""

    @property
    def of_patches(self) -> bool:
        """Whether it needs tokens that are patches, and not what a Q-Former or a resampler makes of them."""
        return self.patches or bool(self.layers)

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers of the vision tower that are looked into, ascending."""
        return tuple(sorted({layer for layers in self.by_name().values() for layer in layers}))

    def __or__(self, other: Signals) -> Signals:
        """What either looks at in the vision tower, layers ascending; the rest is the first one's."""
        theirs = other.by_name()
        both: dict[str, Any] = {
            name: tuple(sorted({*layers, *theirs[name]})) for name, layers in self.by_name().items()
        }
        return replace(self, patches=self.patches or other.patches, **both)

    def by_name(self) -> dict[str, tuple[int, ...]]:
        """The layers of each signal, under the name of the function of `VisualTokens` that gives it."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), tuple)}


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The tokens that go on, out of N that were given."""

    index: Tensor
    """int64 [K] the token that each of them is, or was merged around; -1 for one that stands for no single token, such
    as the mean of all dropped ones. They go on in this order: ascending where the method keeps the picture's order."""
    weights: Tensor | None = None
    """[K, N] what each is made of: its state is this row times the states given. The rows need not add up to one
    (VisionZip's contextual tokens add up to two). None if nothing is merged: each is the token at `index`."""
    cls: bool = False
    """Whether CLS goes on as one more token, before them; where the connector reads it anyway, and where
    `VisualTokens.cls` is empty, this has no effect. Before the connector only."""

    @property
    def count(self) -> int:
        """K, CLS not counted."""
        return len(self.index)

    def to(self, device: str) -> Kept:
        """The same on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        return replace(self, index=self.index.to(device), weights=weights)

    def apply(self, states: Tensor) -> Tensor:
        """[K, D] the kept tokens' states.

        Args:
            states: [N, D] of those given.
        """
        return states[self.index] if self.weights is None else self.weights.to(states.dtype) @ states

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two selections from the same tokens exactly if they keep the same."""
        mixed = None if self.weights is None else self.weights.cpu().numpy().tobytes()
        return (tuple(self.index.tolist()), mixed, self.cls)


class VisualTokens(Protocol):
    """The visual tokens of one picture as they come to a door; the signals are computed, or read, when asked for.

    After a connector that does not pass patches on one by one (a Q-Former, a resampler) there are tokens but no places
    and no signals of the vision tower.
    """

    @property
    def count(self) -> int:
        """Number N of tokens that a method may choose from, CLS not among them."""
        ...

    @property
    def start(self) -> int:
        """N0, the number of tokens that the unpruned model has of this picture here."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        ...

    @property
    def origin(self) -> Tensor:
        """int64 [N] number of the patch that each token is, or was merged around, among those of the unpruned model; -1
        for one that stands for no single patch. Methods have no use for it; kept patches are reported by it."""
        ...

    @property
    def features(self) -> Tensor:
        """[N, D] the tokens: as the connector receives them, or as the language model does after it."""
        ...

    @property
    def cls(self) -> Tensor:
        """[C, D] the vision tower's CLS as the connector would receive it; C is 1, but 0 after the connector and for a
        picture in several crops."""
        ...

    @property
    def tower_features(self) -> Tensor:
        """[N, D] the patches as the vision tower leaves them: the first columns of the `features` before the connector,
        and all of them unless the connector gets earlier layers' too (Qwen3-VL)."""
        ...

    @property
    def places(self) -> Tensor:
        """int64 [N, 3] grid, row and column of each patch, from 0; [0, 3] if the tokens are not patches.

        Each grid is a whole rectangle, row by row. There is one, but for families that cut a picture into crops: in
        LLaVA-NeXT and LLaVA-OneVision the whole picture is grid 0 and its tiles together are grid 1, and in SmolVLM
        every crop is a grid.
        """
        ...

    def cls_attention(self, layer: int) -> Tensor:
        """[N] attention of CLS to each patch in a layer of the vision tower, mean over heads, float32.

        The softmax runs over CLS and all patches, and CLS's own share is then left out: it does not add up to one.
        """
        ...

    def joined_attention(self, layer: int) -> Tensor:
        """[N] the same with all heads joined into a single one of the tower's whole width D, scaled by D^-0.5."""
        ...

    def received_attention(self, layer: int) -> Tensor:
        """[N] attention that each patch receives in a layer, mean over heads and over all queries, CLS's among them."""
        ...

    def keys(self, layer: int) -> Tensor:
        """[H, N, W] keys of the patches in a layer, head by head, without any scaling."""
        ...

    def aligned(self, layer: int) -> Tensor:
        """[N, E] unit-length patches in CLIP space: the output of a layer through CLIP's final norm and projection.

        -1 is the last layer, as in the ATP paper; for LLaVA -2 is the one whose output the connector receives. Where
        the tower lacks layers of its CLIP, the tokens of its own last layer pass those too.
        """
        ...

    def projected(self, layer: int) -> Tensor:
        """[N, E] the same before they are brought to unit length."""
        ...


class Texts(Protocol):
    """The questions on one picture; what they are embedded in is computed when asked for."""

    @property
    def questions(self) -> tuple[str, ...]:
        """Q questions."""
        ...

    @property
    def in_clip(self) -> Tensor:
        """[Q, E] unit-length embeddings by the text tower that `Signals.text_tower` names."""
        ...

    @property
    def projected(self) -> Tensor:
        """[Q, E] the same before they are brought to unit length."""
        ...

    def words(self, index: int) -> Tensor:
        """[W, D] one question's tokens as the language model embeds them, without template and special tokens."""
        ...

    def embed(self, words: Sequence[str]) -> Tensor:
        """[W, D] the same of some words, each split into tokens apart from the others (MMTok)."""
        ...


class TowerLayer(Protocol):
    """The patches of one picture in one layer of the vision tower, after its attention and before its feed-forward.

    CLS takes part in attention but stands apart: it is never dropped and nothing merges with it. The patches are in the
    order that the method's reductions in earlier layers gave them.
    """

    @property
    def depth(self) -> int:
        """Layers of the tower whose output is used: those up to the one that the connector reads."""
        ...

    @property
    def start(self) -> int:
        """N0, the number of patches before the first layer."""
        ...

    @property
    def count(self) -> int:
        """Number N of patches that are left."""
        ...

    @property
    def state(self) -> Tensor:
        """[N, D] the patches after attention and residual."""
        ...

    @property
    def keys(self) -> Tensor:
        """[H, N, W] keys of this layer's attention, head by head."""
        ...

    @property
    def cls_attention(self) -> Tensor:
        """[N] attention of CLS to each patch in this layer, after the softmax, mean over heads, float32."""
        ...

    @property
    def sizes(self) -> Tensor:
        """[N] how many patches of the picture each is made of, float32."""
        ...


class LanguageLayer(Protocol):
    """One prompt in the language model, before one of its layers runs.

    Its T tokens stand in the order in which the model reads them. Visual tokens that were dropped before earlier layers
    are gone; text is always all there. Attention is computed apart, for the rows asked for alone, so the model itself
    runs with whatever attention it has.
    """

    @property
    def depth(self) -> int:
        """Layers of the language model."""
        ...

    @property
    def start(self) -> int:
        """N0, the number of visual tokens at the language model's input."""
        ...

    @property
    def state(self) -> Tensor:
        """[T, D] what the layer is about to read, before its norm."""
        ...

    @property
    def normed(self) -> Tensor:
        """[T, D] the same through the norm that follows the model's last layer (DART)."""
        ...

    @property
    def visual(self) -> Tensor:
        """int64 [N] places in the prompt of the visual tokens that are left, ascending: `Kept` chooses among these."""
        ...

    @property
    def text(self) -> Tensor:
        """int64 [S] places of the tokens after the image: the question and the rest of the template, ascending."""
        ...

    @property
    def embedded_visual(self) -> Tensor:
        """[N0, D] all visual tokens at the language model's input."""
        ...

    @property
    def embedded_text(self) -> Tensor:
        """[S, D] the tokens after the image at the language model's input."""
        ...

    def attention(self, rows: Tensor, previous: bool = False) -> Tensor:
        """[H, R, T] causal attention of some tokens to all, after the softmax, head by head, float32.

        Args:
            rows: int64 [R] places in the prompt.
            previous: as the layer before computed it on its own input (FastV, SparseVLM), and not as this layer would
                compute it on `state` (PyramidDrop). Layer 0 has no layer before.
        """
        ...

    def keys(self, previous: bool = False) -> Tensor:
        """[G, T, W] keys of this layer on `state`, or of the layer before; rotary positions applied, G key heads."""
        ...

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The tensors of `Signals.weights`, on the model's device."""
        ...


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
