"""A causal language model whose prompts lose visual tokens on their way through it.

transformers makes one mask and one table of rotary positions for all layers. Here the layers are run one by one, each
with a length of its own in mask, positions and cache, and rows of a batch may differ in theirs. Rows are padded after
their last token, where no real token looks. A method's attention is computed apart, for the rows that it asks for
(`narrowing_view`), so the model itself keeps its own kind of attention.

Prompts on the same picture begin alike, and until one of them loses a token a layer reads their beginning once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache
from transformers.masking_utils import create_causal_mask

from pruneproof.backbones import Narrowing
from pruneproof.backbones.language.beginnings import Alike, WholePrompt, alike
from pruneproof.backbones.language.generation import CausalModel, Generated
from pruneproof.backbones.language.greedy import greedy
from pruneproof.backbones.language.narrowing_view import Entering, PromptLayer, require_rotary
from pruneproof.backbones.language.skipping import run_at
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """What is left of a prompt at some layer."""

    state: Tensor
    """[T, D]."""
    places: Tensor
    """int64 [T], or [T, A] on several axes: positions that its tokens are numbered by."""
    following: int
    """Position of the token that follows."""
    visual: Tensor
    """int64 [N] where its visual tokens stand among the T."""
    left: Tensor
    """int64 [N] which of the shown tokens they are; -1 for a merged one."""
    deep: tuple[Tensor, ...]
    """[N, D] each: what they are given after the first layers; as of `WholePrompt`."""


class _Layers:
    """What a batch of prompts leaves in every layer of the model for the tokens that are decoded after it."""

    def __init__(self, cache: DynamicCache) -> None:
        self.cache = cache
        self.seen: list[Tensor] = []
        """[B, T] of each layer: which of the cached positions are tokens."""
        self.next: list[Tensor] = []
        """[B] of each layer: the position of the next token."""

    def only(self, rows: Tensor) -> None:
        """Keep some rows, [B] bool."""
        self.cache.batch_select_indices(rows.nonzero()[:, 0])
        self.seen = [seen[rows] for seen in self.seen]
        self.next = [place[rows] for place in self.next]


@torch.inference_mode()
def continue_narrowed(
    model: CausalModel, prompts: Sequence[WholePrompt], narrowing: Narrowing, longest: int
) -> list[Generated]:
    """Greedy answers to some prompts, which lose visual tokens as a method decides.

    Args:
        model: the language model.
        prompts: one row each.
        narrowing: the method.
        longest: at least 1 new token.

    Raises:
        PruneProofError: if the model's layers are of an unknown kind.
    """
    layers = _Layers(model.cache())
    rows, hidden = _read(model, prompts, narrowing, layers, alike(prompts))
    lengths = [seen.sum(dim=1).tolist() for seen in layers.seen]

    def advance(going: Tensor, tokens: Tensor) -> Tensor:
        if not bool(going.all()):
            layers.only(going)
        return _step(model, model.embed(tokens[:, None]), layers)

    first = model.head(hidden).float()
    answers = greedy(first, model.eos, longest, advance)
    return [
        Generated(tokens, logits, tuple(length[i] for length in lengths), tuple(sorted(_own(row.left))))
        for i, (tokens, logits, row) in enumerate(zip(answers, first, rows, strict=True))
    ]


@torch.inference_mode()
def prefill_narrowed(model: CausalModel, prompt: WholePrompt, narrowing: Narrowing) -> DynamicCache:
    """Read one prompt up to the logits of its last position; returns the cache, whose layers differ in length.

    All positions pass the last layer whole, as in `CausalModel.prefill`.
    """
    layers = _Layers(model.cache())
    _, hidden = _read(model, [prompt], narrowing, layers)
    model.head(hidden)
    return layers.cache


@torch.inference_mode()
def step_narrowed(
    model: CausalModel, embedding: Tensor, cache: DynamicCache, whole: int, narrowing: Narrowing
) -> Tensor:
    """Logits after one further token [1, 1, D] of a prompt that had `whole` tokens; the cache grows by it."""
    layers = _Layers(cache)
    for layer in list(cache.layers):
        kept: Any = layer
        length = int(kept.keys.shape[-2])
        layers.seen.append(torch.ones(1, length, dtype=torch.bool, device=embedding.device))
        layers.next.append(torch.tensor([length if narrowing.renumbers else whole], device=embedding.device))
    return _step(model, embedding, layers)


def _read(
    model: CausalModel,
    prompts: Sequence[WholePrompt],
    narrowing: Narrowing,
    layers: _Layers,
    alike: Alike | None = None,
) -> tuple[list[_Row], Tensor]:
    """The prompts through all layers: what is left of each, and the state [B, D] of its last token.

    Args:
        model: the language model.
        prompts: one row each.
        narrowing: the method.
        layers: filled.
        alike: prompts whose beginnings are read once; None to read every position of every prompt in every layer.
    """
    decoder = model.decoder
    require_rotary(decoder)
    rows = [_row(prompt) for prompt in prompts]
    before: list[Entering] | None = None
    whole = True
    for number, layer in enumerate(decoder.layers):
        entering = [Entering(layer, decoder.rotary_emb, row.state, row.places) for row in rows]
        for i, prompt in enumerate(prompts):
            view = PromptLayer(
                len(decoder.layers), prompt.embedded, prompt.visual, prompt.after, rows[i].visual, entering[i],
                before[i] if before else None, narrowing.weights, decoder.norm,
            )  # fmt: skip
            kept = narrowing.decide(prompt.number, number, view)
            if kept is not None:
                rows[i] = _narrow(rows[i], kept, narrowing.renumbers)
                entering[i] = Entering(layer, decoder.rotary_emb, rows[i].state, rows[i].places)
                whole = False
        before = entering
        last = number == len(decoder.layers) - 1
        if alike and whole and len(alike.first) < len(prompts) and not last:
            rows = _through_once(decoder, layer, rows, alike, layers)
        else:
            rows = _through(decoder, layer, rows, layers, at_the_end=last and alike is not None)
        rows = [_deepened(row, number) for row in rows]
    return rows, decoder.norm(torch.stack([row.state[-1] for row in rows]))


def _row(prompt: WholePrompt) -> _Row:
    device = prompt.embedded.device
    return _Row(
        prompt.embedded,
        prompt.numbered,
        prompt.following,
        prompt.visual,
        torch.arange(len(prompt.visual), device=device),
        prompt.deep,
    )


def _deepened(row: _Row, layer: int) -> _Row:
    """A row after a layer has given its visual tokens what is theirs there."""
    if layer >= len(row.deep):
        return row
    return replace(row, state=row.state.index_add(0, row.visual, row.deep[layer].to(row.state.dtype)))


def _narrow(row: _Row, kept: Kept, renumbers: bool) -> _Row:
    """A row after some of its visual tokens were dropped or merged."""
    total, device = len(row.state), row.state.device
    index = kept.index.to(device)
    is_text = torch.ones(total, dtype=torch.bool, device=device)
    is_text[row.visual] = False
    text = is_text.nonzero()[:, 0]
    own = index.clamp(min=0)
    after = 2 * row.visual.amax() + 1
    order = torch.cat([2 * text, torch.where(index < 0, after, 2 * row.visual[own])]).argsort(stable=True)
    state = torch.cat([row.state[text], kept.apply(row.state[row.visual])])[order]
    places = torch.cat([row.places[text], row.places[row.visual[own]]])[order]
    visual = (order >= len(text)).nonzero()[:, 0]
    left = torch.where(index < 0, -1, row.left[own])[order[visual] - len(text)]
    following = row.following
    if renumbers:
        _require_one_axis(places)
        places, following = torch.arange(len(state), device=device), len(state)
    return _Row(state, places, following, visual, left, tuple(kept.apply(deep) for deep in row.deep))


def _require_one_axis(places: Tensor) -> None:
    """Refuse to renumber tokens that have several numbers each; validation does before.

    Raises:
        PruneProofError: saying so.
    """
    if places.ndim > 1:
        raise PruneProofError(
            "a method numbers the tokens that are left anew, and this language model numbers visual tokens by row and "
            "column: choose a method that leaves the numbers as they are, such as fastv"
        )


def _through(
    decoder: Any,
    layer: Any,
    rows: Sequence[_Row],
    layers: _Layers,
    at_the_end: bool,
) -> list[_Row]:
    """All rows through one layer as a batch; at the end nothing but their last tokens is wanted of it."""
    lengths = torch.tensor([len(row.state) for row in rows], device=rows[0].state.device)
    state = pad_sequence([row.state for row in rows], batch_first=True)
    places = pad_sequence([row.places for row in rows], batch_first=True)
    mask = create_causal_mask(
        config=decoder.config, inputs_embeds=state, attention_mask=None, past_key_values=None, position_ids=None
    )
    layers.seen.append(torch.arange(state.shape[1], device=state.device)[None] < lengths[:, None])
    inputs = _inputs(decoder, state, places, mask, layers.cache)
    state = run_at(layer, state, lengths[:, None] - 1, **inputs) if at_the_end else layer(state, **inputs)
    layers.next.append(torch.tensor([row.following for row in rows], device=state.device))
    return [replace(row, state=own[: len(row.state)]) for row, own in zip(rows, state, strict=True)]


def _through_once(decoder: Any, layer: Any, rows: Sequence[_Row], alike: Alike, layers: _Layers) -> list[_Row]:
    """Rows that have lost nothing through one layer: every beginning once, then what follows it in each row."""
    start, device = alike.start, alike.group.device
    begin = torch.stack([rows[i].state[:start] for i in alike.first])
    places = torch.stack([rows[i].places[:start] for i in alike.first])
    causal = create_causal_mask(
        config=decoder.config, inputs_embeds=begin, attention_mask=None, past_key_values=None, position_ids=None
    )
    begin = layer(begin, **_inputs(decoder, begin, places, causal, layers.cache))
    layers.cache.layers[layer.self_attn.layer_idx].batch_select_indices(alike.group)
    rest = pad_sequence([row.state[start:] for row in rows], batch_first=True)
    width = rest.shape[1]
    sees = torch.ones(width, start + width, dtype=torch.bool, device=device).tril(start)
    mask = torch.zeros_like(sees, dtype=rest.dtype).masked_fill(~sees, torch.finfo(rest.dtype).min)
    places = pad_sequence([row.places[start:] for row in rows], batch_first=True)
    rest = layer(rest, **_inputs(decoder, rest, places, mask[None, None], layers.cache))
    lengths = torch.tensor([len(row.state) for row in rows], device=device)
    layers.seen.append(torch.arange(start + width, device=device)[None] < lengths[:, None])
    layers.next.append(torch.tensor([row.following for row in rows], device=device))
    groups = alike.group.tolist()
    return [
        replace(row, state=torch.cat([begin[group], own[: len(row.state) - start]]))
        for row, own, group in zip(rows, rest, groups, strict=True)
    ]


def _inputs(decoder: Any, state: Tensor, places: Tensor, mask: Any, cache: DynamicCache) -> dict[str, Any]:
    """Of a layer's forward, besides the state."""
    return {
        "attention_mask": mask,
        "position_ids": places,
        "past_key_values": cache,
        "use_cache": True,
        "position_embeddings": decoder.rotary_emb(state, position_ids=places),
    }


def _step(model: CausalModel, embedding: Tensor, layers: _Layers) -> Tensor:
    """Logits [B, vocabulary] after one further token [B, 1, D] of each row."""
    state = embedding
    for number, layer in enumerate(model.decoder.layers):
        places = layers.next[number][:, None]
        seen = torch.cat([layers.seen[number], torch.ones_like(places, dtype=torch.bool)], dim=1)
        mask = torch.zeros_like(seen, dtype=state.dtype).masked_fill(~seen, torch.finfo(state.dtype).min)
        state = layer(state, **_inputs(model.decoder, state, places, mask[:, None, None], layers.cache))
        layers.seen[number], layers.next[number] = seen, layers.next[number] + 1
    logits: Tensor = model.head(model.decoder.norm(state)[:, -1]).float()
    return logits


def _own(left: Tensor) -> list[int]:
    return [number for number in left.tolist() if number >= 0]
