"""The vision towers of Qwen2.5-VL and Qwen3-VL, and a picture as they leave it.

Four neighbouring patches, a group, become one token of the language model. A visual token is a group, in the order of
the picture's rows; Qwen2.5-VL's tower orders groups by window, which is undone here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

import torch
from torch import Tensor
from transformers.models.llama import modeling_llama

from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Signals

USUAL = Signals(received_attention=(-1,))
"""What most methods look at in these towers; see `Backbone.usual`."""

_QUERIES = 256
"""Most queries whose attention is held at once: a large picture has thousands of patches."""


@dataclass(frozen=True, slots=True)
class Run:
    """One picture's way through a tower, its P patches in the tower's own order."""

    states: tuple[Tensor, ...]
    """[P, D] each: the input of the first block, then the output of every block."""
    blocks: Any
    seen: tuple[Sequence[int], ...]
    """For each block, the ends of the stretches in which patches see each other, after a 0: [0, P] for all."""
    rotary: tuple[Tensor, Tensor]
    """[P, W] each."""
    order: Tensor
    """int64 [N] where the groups stand in that order, row by row of the picture."""

    def grouped(self, patches: Tensor) -> Tensor:
        """[N, 4, ...] of [P, ...] in the tower's order: groups, row by row of the picture."""
        return patches.view(len(self.order), -1, *patches.shape[1:])[self.order]


def run_blocks(blocks: Any, state: Tensor, rotary: tuple[Tensor, Tensor], seen: Sequence[Tensor]) -> Iterator[Tensor]:
    """[P, D] what enters the first block, then what leaves every block; `seen` are its `cu_seqlens`."""
    yield state
    for block, ends in zip(blocks, seen, strict=True):
        state = block(state, cu_seqlens=ends, position_embeddings=rotary)
        yield state


@dataclass(frozen=True, slots=True)
class GroupedImage:
    """One picture as the vision tower leaves it; implements `VisualTokens` as far as there is no CLS and no CLIP."""

    run: Run
    features: Tensor
    """[N, 4D], or [N, 4D * (1 + L)] with the states that L earlier blocks leave, for mergers of their own."""
    columns: int
    """Groups in a row of the picture."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.features)

    @property
    def start(self) -> int:
        """All of them."""
        return self.count

    @property
    def origin(self) -> Tensor:
        """[N] each is itself."""
        return torch.arange(self.count, device=self.features.device)

    @property
    def cls(self) -> Tensor:
        """[0, D]: there is none."""
        return self.features[:0]

    @property
    def tower_features(self) -> Tensor:
        """[N, 4D] as the last block leaves them."""
        return self.run.grouped(self.run.states[-1]).flatten(1)

    @property
    def places(self) -> Tensor:
        """[N, 3] row and column in the one grid."""
        number = self.origin
        return torch.stack([torch.zeros_like(number), number // self.columns, number % self.columns], dim=-1)

    @torch.inference_mode()
    def received_attention(self, layer: int) -> Tensor:
        """[N] mean over heads, all queries of the picture and the group's four patches.

        A patch that a block shows in a window is seen by the patches of its window alone.
        """
        at = self._number(layer)
        attention = self.run.blocks[at].attn
        query, key, _ = self._parts(at)
        query, key = (_turned(part, *self.run.rotary).transpose(0, 1) for part in (query, key))
        received = torch.zeros(query.shape[1], device=query.device)
        for begin, end in pairwise(self.run.seen[at]):
            seen = key[:, begin:end].transpose(-1, -2) * attention.scaling
            for first in range(begin, end, _QUERIES):
                some = query[:, first : min(first + _QUERIES, end)]
                received[begin:end] += (some @ seen).float().softmax(dim=-1).mean(dim=0).sum(dim=0)
        return self.run.grouped(received / len(received)).mean(dim=1)

    @torch.inference_mode()
    def keys(self, layer: int) -> Tensor:
        """[H, N, W] keys of a block without rotary positions, mean over each group's four patches."""
        _, key, _ = self._parts(self._number(layer))
        return self.run.grouped(key).mean(dim=1).transpose(0, 1)

    def cls_attention(self, layer: int) -> NoReturn:
        """None."""
        raise MethodError("looks at CLS or CLIP, and the vision tower has neither: take `atp_received`")

    joined_attention = aligned = projected = cls_attention

    def _parts(self, at: int) -> tuple[Tensor, Tensor, Tensor]:
        """[P, H, W] queries, keys and values of a block. Source: transformers `Qwen2_5_VLVisionAttention.forward`."""
        block, state = self.run.blocks[at], self.run.states[at]
        joined = block.attn.qkv(block.norm1(state)).view(len(state), 3, block.attn.num_heads, -1)
        query, key, value = joined.unbind(dim=1)
        return query, key, value

    def _number(self, layer: int) -> int:
        """The block counted from 0."""
        depth = len(self.run.blocks)
        if not -depth <= layer < depth:
            raise MethodError(
                f"looks at layer {layer} of the vision tower, which has {depth} layers: give 0 to {depth - 1}, or "
                f"-{depth} to -1"
            )
        return layer % depth


def _turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """[P, H, W] with rotary positions. Source: transformers `apply_rotary_pos_emb_vision`."""
    rotate_half: Callable[[Tensor], Tensor] = modeling_llama.rotate_half
    wide, cos, sin = heads.float(), cos[:, None].float(), sin[:, None].float()
    return (wide * cos + rotate_half(wide) * sin).to(heads.dtype)


Merger = Callable[[Tensor], Tensor]
"""[4K, D] patches -> [K, W] what the language model gets of their groups."""


def merged(rows: Tensor, width: int, mergers: Sequence[Merger]) -> Tensor:
    """[K, W * M] what each of M mergers makes of its part of the rows.

    Args:
        rows: [K, 4D * M].
        width: D.
        mergers: one for each part.
    """
    parts = rows.chunk(len(mergers), dim=-1)
    return torch.cat([merge(part.reshape(-1, width)) for merge, part in zip(mergers, parts, strict=True)], dim=-1)
