"""Idefics' decoder as `CausalModel` calls one: every token of a prompt attends to its own image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LookingDecoder:
    """`IdeficsModel` with the images of some packed questions.

    Several images go into one row as the several images of one conversation would, and `image_attention_mask` shows
    every token its own question's image alone; the tokens before the placeholder look at none, and the model's gate
    then leaves the cross-attention out. Keys and values of the cross-attention are computed again in every forward, as
    in transformers, which keeps none of them in the cache.
    """

    model: Any
    """transformers' `IdeficsModel`."""
    visual: Tensor
    """[V, L, D] what the cross-attention reads of each image: latents of the resampler, or tokens where there is none.
    """
    start: int
    """Place of the image placeholder in every prompt."""
    image_of_key: Tensor
    """int64 [S] for each token from `start` on, consecutive questions joined: which of the V images it looks at."""

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
        past_key_values: Any,
        use_cache: bool,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Any:
        """One forward of a row of T tokens.

        Args:
            inputs_embeds: [1, T, D].
            past_key_values: grows by T.
            use_cache: passed on.
            attention_mask: [1, 1, T, keys], 0 where a token looks; None for one question, in its own order.
            position_ids: [1, T], needed with `attention_mask`.
        """
        if position_ids is None:
            places = torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device)
            position_ids = past_key_values.get_seq_length() + places[None]
        image = torch.zeros_like(position_ids[0])
        if attention_mask is not None:
            # A packed question sees nothing of the others, so the first key that it sees is its own first token.
            image = self.image_of_key[(attention_mask[0, 0, :, self.start :] == 0).int().argmax(dim=-1)]
        looks = torch.nn.functional.one_hot(image, len(self.visual)) * (position_ids[0] >= self.start)[:, None]
        door = "perceiver_embeddings" if self.model.config.use_resampler else "image_encoder_embeddings"
        return self.model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            image_attention_mask=looks[None],
            **{door: self.visual[None]},
        )
