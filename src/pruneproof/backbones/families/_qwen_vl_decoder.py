"""The text models of Qwen2.5-VL and Qwen3-VL as `CausalModel` and `narrowing` call a decoder.

Their positions have three axes (M-RoPE): time, row and column for visual tokens, three times the same number for text.
Callers number the tokens that a row has, from 0; the positions that these tokens have in the whole prompt, dropped
tokens among them, go with the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


class PlacedCache(DynamicCache):
    """A cache that knows the positions of each row, so that rows which end early leave with theirs."""

    def __init__(self, places: Tensor, following: Tensor, deep: tuple[Tensor, ...]) -> None:
        """A new cache.

        Args:
            places: int64 [B, P, 3] positions of the tokens up to the end of the image.
            following: int64 [B] position of the token after it.
            deep: [B, K, W] each, what the first layers add to the last K of the P tokens.
        """
        super().__init__()
        self.places, self.following, self.deep = places, following, deep

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows."""
        super().batch_select_indices(indices)
        self.places, self.following = self.places[indices], self.following[indices]

    def placed(self, numbers: Tensor) -> Tensor:
        """int64 [3, B, T] positions of tokens that are the `numbers` [B, T] of their rows."""
        length = self.places.shape[1]
        row = torch.arange(len(numbers), device=numbers.device)[:, None]
        early = self.places[row, numbers.clamp(max=length - 1)]
        late = (self.following[:, None] + numbers - length)[..., None]
        return torch.where((numbers < length)[..., None], early, late).permute(2, 0, 1)


@dataclass(frozen=True, slots=True)
class PlacedDecoder:
    """A text model, given its positions by a `PlacedCache`, or layer by layer by `narrowing`."""

    model: Any
    """transformers' `Qwen2_5_VLTextModel` or `Qwen3VLTextModel`."""

    @property
    def layers(self) -> Any:
        """The decoder's layers."""
        return self.model.layers

    @property
    def norm(self) -> Any:
        """That follows the last layer."""
        return self.model.norm

    @property
    def config(self) -> Any:
        """Of the text model."""
        return self.model.config

    def get_input_embeddings(self) -> Any:
        """The module that embeds token ids."""
        return self.model.get_input_embeddings()

    def rotary_emb(self, states: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [B, T, W] of positions [B, T, 3], or [B, T] for text; `states` say of which type."""
        axes = position_ids[..., None].expand(-1, -1, 3) if position_ids.ndim == 2 else position_ids
        found: tuple[Tensor, Tensor] = self.model.rotary_emb(states, axes.permute(2, 0, 1))
        return found

    def __call__(
        self,
        inputs_embeds: Tensor,
        past_key_values: PlacedCache,
        use_cache: bool,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Any:
        """One forward of rows of T tokens; the first one reads everything up to the end of the image.

        Args:
            inputs_embeds: [B, T, W].
            past_key_values: of the same rows; grows by T.
            use_cache: passed on.
            attention_mask: as transformers takes it.
            position_ids: [B, T] numbers of the tokens in their rows; None for one question a row, in its own order.
        """
        begin, device = past_key_values.get_seq_length(), inputs_embeds.device
        if position_ids is None:
            position_ids = (begin + torch.arange(inputs_embeds.shape[1], device=device)).expand(len(inputs_embeds), -1)
        inputs: dict[str, Any] = {}
        if begin == 0 and past_key_values.deep:
            end = past_key_values.places.shape[1]
            visual = (position_ids < end) & (position_ids >= end - past_key_values.deep[0].shape[1])
            added = [deep.flatten(0, 1) for deep in past_key_values.deep]
            inputs = {"visual_pos_masks": visual, "deepstack_visual_embeds": added}
        return self.model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=past_key_values.placed(position_ids),
            past_key_values=past_key_values,
            use_cache=use_cache,
            **inputs,
        )
