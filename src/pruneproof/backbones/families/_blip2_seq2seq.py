"""Greedy answers from an encoder-decoder whose prompt begins with embeddings: BLIP-2's Flan-T5.

The methods are those of `language.generation.CausalModel`. Rows are padded after their last token and the padding is
masked: T5 counts positions by place in the row, so padding before or inside the prompt would change its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from pruneproof.backbones.language.generation import Generated, even_parts
from pruneproof.backbones.language.greedy import greedy


@dataclass(frozen=True, slots=True)
class ReadPrompts:
    """Prompts as the encoder leaves them, with the decoder's cache."""

    states: Tensor
    """[Q, L, D] output of the encoder."""
    real: Tensor
    """int64 [Q, L]: 1 at tokens, 0 at padding."""
    cache: EncoderDecoderCache

    @property
    def layers(self) -> list[Any]:
        """Layers of both caches: the decoder's own tokens, and the prompt as it sees it."""
        return [*self.cache.self_attention_cache.layers, *self.cache.cross_attention_cache.layers]

    def only(self, rows: Tensor) -> ReadPrompts:
        """Some of the rows, [Q] bool; the cache is changed in place."""
        self.cache.batch_select_indices(rows.nonzero()[:, 0])
        return ReadPrompts(self.states[rows], self.real[rows], self.cache)


@dataclass(frozen=True, slots=True)
class EncoderDecoder:
    """A transformers encoder-decoder with a language model's head, such as `T5ForConditionalGeneration`."""

    model: Any
    start: int
    """The token that the decoder begins with."""
    eos: frozenset[int]

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings, [..., D]."""
        embedded: Tensor = self.model.get_input_embeddings()(ids)
        return embedded

    def continue_shared(
        self, prefixes: Tensor, suffixes: Sequence[Sequence[Sequence[int]]], longest: int, together: int
    ) -> list[list[Generated]]:
        """Answer prompts that begin alike; see `CausalModel.continue_shared`.

        An encoder looks both ways, so the shared beginning has to be read again with each question.
        """
        return [
            [
                answer
                for part in even_parts(len(own), together)
                for answer in self.continue_each(prefix.expand(part.stop - part.start, -1, -1), own[part], longest)
            ]
            for prefix, own in zip(prefixes, suffixes, strict=True)
        ]

    @torch.inference_mode()
    def continue_each(self, prefixes: Tensor, suffixes: Sequence[Sequence[int]], longest: int) -> list[Generated]:
        """Answer prompts that each have their own prefix, one row each.

        Args:
            prefixes: [Q, P, D] embeddings.
            suffixes: Q lists of token ids that follow the prefixes.
            longest: at least 1 new token.
        """
        device = prefixes.device
        sizes = torch.tensor([len(suffix) for suffix in suffixes], device=device)
        width = int(sizes.max())
        padded = torch.tensor([[*suffix, *[0] * (width - len(suffix))] for suffix in suffixes], device=device)
        real = torch.arange(prefixes.shape[1] + width, device=device) < (prefixes.shape[1] + sizes)[:, None]
        read, first = self._read(torch.cat([prefixes, self.embed(padded)], dim=1), real.long())
        lengths = [(length,) * self.model.config.num_layers for length in read.real.sum(dim=1).tolist()]

        def advance(going: Tensor, tokens: Tensor) -> Tensor:
            nonlocal read
            if not bool(going.all()):
                read = read.only(going)
            return self.step(self.embed(tokens[:, None]), read).float()

        tokens = greedy(first.float(), self.eos, longest, advance)
        return [Generated(*row) for row in zip(tokens, first.float(), lengths, strict=True)]

    @torch.inference_mode()
    def prefill(self, embeddings: Tensor) -> ReadPrompts:
        """Read one prompt [1, L, D] up to the logits of the answer's first token."""
        return self._read(embeddings, torch.ones(embeddings.shape[:2], dtype=torch.long, device=embeddings.device))[0]

    @torch.inference_mode()
    def step(self, embeddings: Tensor, read: ReadPrompts) -> Tensor:
        """Logits [Q, vocabulary] after one further token [Q, 1, D] of each answer; the cache grows by it."""
        output = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=read.states),
            attention_mask=read.real,
            decoder_inputs_embeds=embeddings,
            past_key_values=read.cache,
            use_cache=True,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def _read(self, embeddings: Tensor, real: Tensor) -> tuple[ReadPrompts, Tensor]:
        """The prompts [Q, L, D], and the logits of the first answered token."""
        states = self.model.get_encoder()(inputs_embeds=embeddings, attention_mask=real).last_hidden_state
        read = ReadPrompts(states, real, EncoderDecoderCache(DynamicCache(), DynamicCache()))
        start = torch.full((len(states), 1), self.start, device=states.device)
        return read, self.step(self.embed(start), read)
