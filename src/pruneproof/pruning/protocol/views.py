"""What a method is given: a picture's visual tokens, the questions on it, or a layer of the tower or language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


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
