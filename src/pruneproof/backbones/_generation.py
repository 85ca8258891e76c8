"""Greedy answers from a causal language model whose prompt begins with embeddings, for many questions at once.

Questions that share everything up to the image are packed after one reading of it (`continue_shared`); questions with
tokens of their own are rows of a batch (`continue_each`). Both give what transformers' `generate` gives: a packed
question sees the shared prefix and itself only and is numbered as if it were alone, and rows are padded after their
last real token, where causal attention does not look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from pruneproof.backbones._greedy import Advance, greedy
from pruneproof.backbones._skipping import last_states


@dataclass(frozen=True, slots=True)
class Generated:
    """One row's result."""

    tokens: list[int]
    """Generated ids; the end-of-sequence token is left out."""
    first_logits: Tensor
    """[vocabulary] logits at the first generated position, float32."""


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of all keys and values in a cache."""
    layers: list[Any] = list(cache.layers)
    return int(sum(layer.keys.nbytes + layer.values.nbytes for layer in layers))


def even_parts(count: int, most: int) -> list[slice]:
    """Cut `count` things into as few parts as `most` allows, of sizes that differ by at most one."""
    parts = -(-count // most)
    edges = [count * i // parts for i in range(parts + 1)] if parts else [0]
    return [slice(begin, end) for begin, end in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A decoder-only language model and its output head."""

    decoder: Any
    """transformers' base model, such as `LlamaModel`."""
    head: Any
    eos: frozenset[int]

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings, [..., D]."""
        embedded: Tensor = self.decoder.get_input_embeddings()(ids)
        return embedded

    @torch.inference_mode()
    def continue_shared(
        self, prefix: Tensor, suffixes: Sequence[Sequence[int]], longest: int, together: int
    ) -> list[Generated]:
        """Continue prompts that begin alike; the prefix is read once.

        Args:
            prefix: [1, P, D] embeddings.
            suffixes: Q lists of token ids that follow the prefix.
            longest: at least 1 new token.
            together: most suffixes in one forward.
        """
        cache = DynamicCache()
        # Nothing is read but the cache; a forward needs one position.
        self._read(prefix, cache, torch.zeros(1, 1, dtype=torch.long, device=prefix.device))
        found: list[Generated] = []
        for part in even_parts(len(suffixes), together):
            found += self._packed(cache, prefix.shape[1], suffixes[part], longest)
            cache.crop(prefix.shape[1] - cache.get_seq_length())
        return found

    @torch.inference_mode()
    def continue_each(self, prefixes: Tensor, suffixes: Sequence[Sequence[int]], longest: int) -> list[Generated]:
        """Continue prompts that each have their own prefix, one row each.

        Args:
            prefixes: [Q, P, D] embeddings.
            suffixes: Q lists of token ids that follow the prefixes.
            longest: at least 1 new token.
        """
        device, start = prefixes.device, prefixes.shape[1]
        sizes = torch.tensor([len(suffix) for suffix in suffixes], device=device)
        width = int(sizes.max())
        padded = torch.tensor([[*suffix, *[0] * (width - len(suffix))] for suffix in suffixes], device=device)
        cache = DynamicCache()
        lengths = start + sizes
        prompts = torch.cat([prefixes, self.embed(padded)], dim=1)
        hidden = self._read(prompts, cache, lengths[:, None] - 1)
        first = self.head(hidden[:, 0]).float()
        seen = torch.arange(start + width, device=device)[None] < lengths[:, None]

        def advance(going: Tensor, tokens: Tensor) -> Tensor:
            nonlocal seen, lengths
            if not bool(going.all()):
                cache.batch_select_indices(going.nonzero()[:, 0])
                seen, lengths = seen[going], lengths[going]
            seen = torch.cat([seen, seen.new_ones(len(seen), 1)], dim=1)
            state = self._run(
                self.embed(tokens[:, None]), cache, attention_mask=seen.long(), position_ids=lengths[:, None]
            )
            lengths = lengths + 1
            logits: Tensor = self.head(state[:, -1]).float()
            return logits

        return self._decode(first, longest, advance)

    @torch.inference_mode()
    def prefill(self, embeddings: Tensor) -> DynamicCache:
        """Read one prompt [1, L, D] up to the logits of its last position, as the published model does.

        All positions pass the last layer whole, so that what is counted is the model's cost and not this program's.

        Returns:
            The cache.
        """
        cache = DynamicCache()
        self.head(self._run(embeddings, cache)[:, -1])
        return cache

    @torch.inference_mode()
    def step(self, embedding: Tensor, cache: DynamicCache) -> Tensor:
        """Logits after one further token [1, 1, D]; the cache grows by it."""
        logits: Tensor = self.head(self._run(embedding, cache)[:, -1])
        return logits

    def _run(self, embeddings: Tensor, cache: DynamicCache, **places: Tensor) -> Tensor:
        output = self.decoder(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, **places)
        hidden: Tensor = output.last_hidden_state
        return hidden

    def _read(self, embeddings: Tensor, cache: DynamicCache, columns: Tensor, **places: Tensor) -> Tensor:
        """Last hidden states [B, n, D] at some positions `columns` [B, n] of rows that are read; the cache grows."""
        return last_states(
            self.decoder,
            columns,
            inputs_embeds=embeddings,
            past_key_values=cache,
            use_cache=True,
            **places,
        )

    def _packed(
        self, cache: DynamicCache, start: int, suffixes: Sequence[Sequence[int]], longest: int
    ) -> list[Generated]:
        """Continue after `start` cached positions; the cache is left longer."""
        device = self.head.weight.device
        sizes = torch.tensor([len(suffix) for suffix in suffixes], device=device)
        owner = torch.arange(len(suffixes), device=device).repeat_interleave(sizes)
        ids = torch.tensor([token for suffix in suffixes for token in suffix], device=device)
        places = start + torch.cat([torch.arange(len(suffix), device=device) for suffix in suffixes])
        causal = torch.ones(len(ids), len(ids), dtype=torch.bool, device=device).tril()
        last = sizes.cumsum(0) - 1
        packed = self._placed(ids, places, (owner[:, None] == owner) & causal, start)
        first = self.head(self._read(cache=cache, columns=last[None], **packed)[0]).float()
        active, lengths = torch.arange(len(suffixes), device=device), start + sizes

        def advance(going: Tensor, tokens: Tensor) -> Tensor:
            nonlocal owner, active, lengths
            active, lengths = active[going], lengths[going]
            owner = torch.cat([owner, active])
            state = self._run(cache=cache, **self._placed(tokens, lengths, active[:, None] == owner, start))[0]
            lengths = lengths + 1
            logits: Tensor = self.head(state).float()
            return logits

        return self._decode(first, longest, advance)

    def _placed(self, ids: Tensor, places: Tensor, sees: Tensor, start: int) -> dict[str, Tensor]:
        """Inputs of packed tokens [T]; `sees` [T, keys after the prefix] is where they look besides the prefix."""
        embedded = self.embed(ids)[None]
        everything = torch.cat([sees.new_ones(len(ids), start), sees], dim=1)
        mask = torch.zeros_like(everything, dtype=embedded.dtype)
        mask = mask.masked_fill(~everything, torch.finfo(embedded.dtype).min)[None, None]
        return {"embeddings": embedded, "attention_mask": mask, "position_ids": places[None]}

    def _decode(self, first: Tensor, longest: int, advance: Advance) -> list[Generated]:
        tokens = greedy(first, self.eos, longest, advance)
        return [Generated(row, logit) for row, logit in zip(tokens, first, strict=True)]
