"""What a method inside the language model sees of one prompt before a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers.models.llama import modeling_llama

from pruneproof.errors import PruneProofError

_KINDS = frozenset(
    {
        "LlamaDecoderLayer",
        "MistralDecoderLayer",
        "Qwen2DecoderLayer",
        "Qwen2_5_VLDecoderLayer",
        "Qwen3VLTextDecoderLayer",
    }
)
"""Classes of layers in transformers whose attention is Llama's, or Llama's with a norm of queries and keys."""


def require_rotary(decoder: Any) -> None:
    """Refuse a decoder whose layers are not Llama's, Mistral's or Qwen's, or see a window only.

    Raises:
        PruneProofError: naming the kind of layer.
    """
    kind = type(decoder.layers[0]).__name__
    if kind not in _KINDS:
        raise PruneProofError(
            f"visual tokens cannot be dropped between layers of the kind {kind}, but only between Llama's, Mistral's "
            "and Qwen's: choose a method at another door"
        )
    if getattr(decoder.config, "sliding_window", None) is not None:
        raise PruneProofError(
            "visual tokens cannot be dropped in a language model whose layers see a sliding window: choose a method at "
            "another door"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Entering:
    """One prompt as it enters a layer."""

    layer: Any
    rotary: Callable[..., tuple[Tensor, Tensor]]
    state: Tensor
    """[T, D]."""
    places: Tensor
    """int64 [T] positions, or [T, A] on several axes."""

    def attention(self, rows: Tensor) -> Tensor:
        """[H, R, T] what `LanguageLayer.attention` gives. Source: transformers `LlamaAttention.forward`."""
        attention = self.layer.self_attn
        normed = self.layer.input_layernorm(self.state)
        query = self._turned("q", normed[rows], self.places[rows])
        key = self._turned("k", normed, self.places)
        key = key.repeat_interleave(len(query) // len(key), dim=0)
        scores = (query @ key.transpose(-1, -2) * attention.scaling).float()
        later = torch.arange(len(self.state), device=rows.device)[None] > rows[:, None]
        weights: Tensor = scores.masked_fill(later, float("-inf")).softmax(dim=-1)
        return weights

    def keys(self) -> Tensor:
        """[G, T, W] what `LanguageLayer.keys` gives."""
        normed = self.layer.input_layernorm(self.state)
        return self._turned("k", normed, self.places)

    def _turned(self, part: Literal["q", "k"], normed: Tensor, places: Tensor) -> Tensor:
        """[heads, T, W] queries or keys with rotary positions. Source: transformers `apply_rotary_pos_emb`.

        Qwen3's pass a norm of their own before; see its `Qwen3VLTextAttention.forward`.
        """
        attention = self.layer.self_attn
        heads = getattr(attention, f"{part}_proj")(normed).view(len(normed), -1, attention.head_dim)
        if hasattr(attention, f"{part}_norm"):
            heads = getattr(attention, f"{part}_norm")(heads)
        heads = heads.transpose(0, 1)
        cos, sin = self.rotary(heads, position_ids=places[None])
        rotate_half: Callable[[Tensor], Tensor] = modeling_llama.rotate_half
        turned: Tensor = heads * cos + rotate_half(heads) * sin
        return turned


@dataclass(frozen=True, slots=True, eq=False)
class PromptLayer:
    """One prompt before one layer; implements `LanguageLayer`."""

    depth: int
    whole: Tensor
    """[T0, D] the prompt at the language model's input."""
    first_visual: Tensor
    """int64 [N0] where its visual tokens stood."""
    after: int
    """S, the number of tokens after the image."""
    visual: Tensor
    entering: Entering
    before: Entering | None
    """As it entered the layer before."""
    weights: Mapping[str, Tensor]
    norm: Callable[[Tensor], Tensor]
    """That follows the last layer."""

    @property
    def start(self) -> int:
        """N0."""
        return len(self.first_visual)

    @property
    def state(self) -> Tensor:
        """[T, D]."""
        return self.entering.state

    @property
    def normed(self) -> Tensor:
        """[T, D]."""
        return self.norm(self.state)

    @property
    def text(self) -> Tensor:
        """int64 [S]."""
        total = len(self.entering.state)
        return torch.arange(total - self.after, total, device=self.entering.state.device)

    @property
    def embedded_visual(self) -> Tensor:
        """[N0, D]."""
        return self.whole[self.first_visual]

    @property
    def embedded_text(self) -> Tensor:
        """[S, D]."""
        return self.whole[len(self.whole) - self.after :]

    def attention(self, rows: Tensor, previous: bool = False) -> Tensor:
        """[H, R, T]."""
        return self._of(previous).attention(rows)

    def keys(self, previous: bool = False) -> Tensor:
        """[G, T, W]."""
        return self._of(previous).keys()

    def _of(self, previous: bool) -> Entering:
        if not previous:
            return self.entering
        if self.before is None:
            raise PruneProofError("a method asks layer 0 of the language model for the layer before: begin at layer 1")
        return self.before
