"""Idefics' decoder as `CausalModel` calls one: every row of tokens attends to its own image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


class LookingCache(DynamicCache):
    """A cache that holds the image of each row, so that rows which end early leave with theirs.

    Keys and values of the cross-attention are computed again in every forward, as in transformers, which keeps none of
    them in the cache.
    """

    def __init__(self, visual: Tensor) -> None:
        """A new cache.

        Args:
            visual: [B, L, D] what the cross-attention reads of each image: latents of the resampler, or tokens where
                there is none.
        """
        super().__init__()
        self.visual = visual

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows."""
        super().batch_select_indices(indices)
        self.visual = self.visual[indices]


@dataclass(frozen=True, slots=True)
class LookingDecoder:
    """`IdeficsModel`, given its images by a `LookingCache`.

    The tokens before the image placeholder look at no image, and the model's gate then leaves the cross-attention out.
    """

    model: Any
    """transformers' `IdeficsModel`."""
    start: int
    """Place of the image placeholder in every prompt."""

    @property
    def layers(self) -> Any:
        """The decoder's layers."""
        return self.model.layers

    def get_input_embeddings(self) -> Any:
        """The module that embeds token ids."""
        return self.model.get_input_embeddings()

    def __call__(
        self,
        inputs_embeds: Tensor,
        past_key_values: LookingCache,
        use_cache: bool,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Any:
        """One forward of rows of T tokens.

        Args:
            inputs_embeds: [B, T, D].
            past_key_values: of the same rows; grows by T.
            use_cache: passed on.
            attention_mask: as transformers takes it; None for one question a row, in its own order.
            position_ids: [B, T], needed with `attention_mask`.
        """
        if position_ids is None:
            places = torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device)
            position_ids = (past_key_values.get_seq_length() + places).expand(len(inputs_embeds), -1)
        door = "perceiver_embeddings" if self.model.config.use_resampler else "image_encoder_embeddings"
        return self.model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            image_attention_mask=(position_ids >= self.start)[..., None].long(),
            **{door: past_key_values.visual[:, None]},
        )
