"""Greedy answers from a causal language model whose prompt begins with embeddings, for many questions at once.

Questions that share everything up to the image are packed after one reading of it, several images as the rows of a
batch (`continue_shared`); questions with tokens of their own are a row each (`continue_each`). Both give what
transformers' `generate` gives: a packed question sees the shared prefix and itself only and is numbered as if it were
alone, and rows are padded after their last real token, where no real token looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from pruneproof.backbones.language.greedy import Advance, greedy
from pruneproof.backbones.language.skipping import last_states


@dataclass(frozen=True, slots=True)
class Generated:
    """One row's result."""

    tokens: list[int]
    """Generated ids; the end-of-sequence token is left out."""
    first_logits: Tensor
    """[vocabulary] logits at the first generated position, float32."""
    lengths: tuple[int, ...] = ()
    """Tokens of the prompt that each layer read, counted in the cache."""
    left: tuple[int, ...] | None = None
    """As of `Reply`."""


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of all keys and values in a cache."""
    layers: list[Any] = list(cache.layers)
    return int(sum(layer.keys.nbytes + layer.values.nbytes for layer in layers))


def cached(cache: DynamicCache) -> tuple[int, ...]:
    """Positions that each layer of a cache holds."""
    layers: list[Any] = list(cache.layers)
    return tuple(int(layer.keys.shape[-2]) for layer in layers)


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
    cache: Callable[[], DynamicCache] = DynamicCache
    """Makes an empty cache for the rows of one call."""

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings, [..., D]."""
        embedded: Tensor = self.decoder.get_input_embeddings()(ids)
        return embedded

    @torch.inference_mode()
    def continue_shared(
        self, prefixes: Tensor, suffixes: Sequence[Sequence[Sequence[int]]], longest: int, together: int
    ) -> list[list[Generated]]:
        """Continue prompts of which several begin alike; each beginning is read once.

        Args:
            prefixes: [B, P, D] embeddings, P at least 1.
            suffixes: for each row, lists of token ids that follow its prefix.
            longest: at least 1 new token.
            together: most suffixes of one row in one forward.

        Returns:
            For each row, what follows each of its suffixes.
        """
        cache = self.cache()
        # Nothing is read but the cache; a forward needs one position.
        self._read(prefixes, cache, torch.zeros(len(prefixes), 1, dtype=torch.long, device=prefixes.device))
        read = cached(cache)
        found: list[list[Generated]] = [[] for _ in suffixes]
        parts = [even_parts(len(row), together) for row in suffixes]
        for turn in range(max(map(len, parts))):
            some = [row[own[turn]] if turn < len(own) else [] for row, own in zip(suffixes, parts, strict=True)]
            packed = iter(self._packed(cache, prefixes.shape[1], some, longest))
            for row, own in zip(found, some, strict=True):
                row += [
                    replace(answer, lengths=tuple(begin + len(suffix) for begin in read))
                    for answer, suffix in zip(islice(packed, len(own)), own, strict=True)
                ]
            cache.crop(prefixes.shape[1] - cache.get_seq_length())
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
        cache = self.cache()
        lengths = start + sizes
        prompts = torch.cat([prefixes, self.embed(padded)], dim=1)
        hidden = self._read(prompts, cache, lengths[:, None] - 1)
        read = cached(cache)
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

        return [
            replace(answer, lengths=tuple(length - width + len(suffix) for length in read))
            for answer, suffix in zip(self._decode(first, longest, advance), suffixes, strict=True)
        ]

    @torch.inference_mode()
    def prefill(self, embeddings: Tensor) -> DynamicCache:
        """Read one prompt [1, L, D] up to the logits of its last position, as the published model does.

        All positions pass the last layer whole, so that what is counted is the model's cost and not this program's.

        Returns:
            The cache.
        """
        cache = self.cache()
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
        self, cache: DynamicCache, start: int, suffixes: Sequence[Sequence[Sequence[int]]], longest: int
    ) -> list[Generated]:
        """Continue all suffixes of all rows after `start` cached positions; the cache is left longer."""
        device = self.head.weight.device
        row = torch.tensor([i for i, own in enumerate(suffixes) for _ in own], device=device)
        number = torch.tensor([i for own in suffixes for i in range(len(own))], device=device)
        lengths = start + torch.tensor([len(suffix) for own in suffixes for suffix in own], device=device)
        flat = [[(i, j, token) for i, suffix in enumerate(own) for j, token in enumerate(suffix)] for own in suffixes]
        width = max(map(len, flat))
        # Padding belongs to no question; it comes last and sees its own kind, so that no row of a mask is empty.
        padded = torch.tensor([[*own, *[(-1, 0, 0)] * (width - len(own))] for own in flat], device=device)
        owner, places, ids = padded[..., 0], start + padded[..., 1], padded[..., 2]
        causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
        packed = self._placed(ids, places, (owner[:, :, None] == owner[:, None, :]) & causal, start)
        slot = _slots(row)
        last = owner.new_zeros(len(suffixes), int(slot.max()) + 1)
        ends = [sum(map(len, own[: i + 1])) - 1 for own in suffixes for i in range(len(own))]
        last[row, slot] = torch.tensor(ends, device=device)
        first = self.head(self._read(cache=cache, columns=last, **packed)[row, slot]).float()

        def advance(going: Tensor, tokens: Tensor) -> Tensor:
            nonlocal owner, row, number, lengths
            row, number, lengths = row[going], number[going], lengths[going]
            slot = _slots(row)
            shape = len(suffixes), int(slot.max()) + 1
            own, ids, places = owner.new_full(shape, -1), owner.new_zeros(shape), owner.new_full(shape, start)
            own[row, slot], ids[row, slot], places[row, slot] = number, tokens, lengths
            owner = torch.cat([owner, own], dim=1)
            sees = own[:, :, None] == owner[:, None, :]
            state = self._run(cache=cache, **self._placed(ids, places, sees, start))[row, slot]
            lengths = lengths + 1
            logits: Tensor = self.head(state).float()
            return logits

        return self._decode(first, longest, advance)

    def _placed(self, ids: Tensor, places: Tensor, sees: Tensor, start: int) -> dict[str, Tensor]:
        """Inputs of packed tokens [B, T].

        Args:
            ids: [B, T].
            places: [B, T] positions.
            sees: [B, T, keys after the prefix] where they look besides the prefix.
            start: length of the prefix.
        """
        embedded = self.embed(ids)
        everything = torch.cat([sees.new_ones(*ids.shape, start), sees], dim=-1)
        mask = torch.zeros_like(everything, dtype=embedded.dtype)
        mask = mask.masked_fill(~everything, torch.finfo(embedded.dtype).min)[:, None]
        return {"embeddings": embedded, "attention_mask": mask, "position_ids": places}

    def _decode(self, first: Tensor, longest: int, advance: Advance) -> list[Generated]:
        tokens = greedy(first, self.eos, longest, advance)
        return [Generated(row, logit) for row, logit in zip(tokens, first, strict=True)]


def _slots(rows: Tensor) -> Tensor:
    """Of ascending numbers of rows [Q], how often each number has come before: 0 0 0 1 1 -> 0 1 2 0 1."""
    places = torch.arange(len(rows), device=rows.device)
    starts = torch.searchsorted(rows, rows)
    return places - starts
