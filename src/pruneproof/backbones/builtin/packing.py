"""Many questions on one image in one sequence: each sees the image and itself only, so an image is read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from pruneproof.backbones.builtin.corpus import Lesson
from pruneproof.backbones.builtin.students import Predictions
from pruneproof.backbones.builtin.tokenizer import ANSWER

_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Packed:
    """Segments of a batch of images, behind a shared prefix that is not part of it."""

    ids: Tensor
    """[B, S] token ids, padded with 0."""
    positions: Tensor
    """[B, S]; every segment starts anew behind the prefix."""
    segments: Tensor
    """[B, S] number of the segment, from 1; 0 for padding."""
    targets: Tensor
    """[B, S] the token to predict from each position; -100 where none is."""

    def to(self, device: str) -> Packed:
        """The same on a device."""
        ids, positions, segments, targets = (
            tensor.to(device) for tensor in (self.ids, self.positions, self.segments, self.targets)
        )
        return Packed(ids, positions, segments, targets)

    def predictions(self, head: Callable[[Tensor], Tensor], states: Tensor) -> Predictions:
        """What a head says of hidden states [B, S, W] where a token is to be predicted."""
        asked = self.targets >= 0
        image, column = asked.nonzero(as_tuple=True)
        return Predictions(head(states[asked]), self.targets[asked], image, self.segments[image, column] - 1)


def segment(tokenizer: PreTrainedTokenizerFast, lesson: Lesson, start: Sequence[int] = ()) -> tuple[list[int], int]:
    """Token ids of `start`, question, `<answer>`, answer and end, and how many of them come before the answer.

    A short form has no `<answer>`: its answer follows the noun.
    """
    mark = [] if lesson.form.startswith("short") else [tokenizer.convert_tokens_to_ids(ANSWER)]
    question = [*start, *tokenizer(lesson.question, add_special_tokens=False).input_ids, *mark]
    answer = [*tokenizer(lesson.answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return question + answer, len(question)


def pack(
    tokenizer: PreTrainedTokenizerFast, lessons: Sequence[Sequence[Lesson]], prefix: int, start: Sequence[int] = ()
) -> Packed:
    """Pack each image's lessons into one row.

    Args:
        tokenizer: of the language model.
        lessons: of each image.
        prefix: positions before the first segment.
        start: token ids that every segment begins with.
    """
    rows = []
    for of_image in lessons:
        ids: list[int] = []
        positions: list[int] = []
        segments: list[int] = []
        targets: list[int] = []
        for number, lesson in enumerate(of_image, start=1):
            tokens, asked = segment(tokenizer, lesson, start)
            shown = tokens[:-1]
            ids += shown
            positions += range(prefix, prefix + len(shown))
            segments += [number] * len(shown)
            targets += [_IGNORED] * (asked - 1) + tokens[asked:]
        rows.append((ids, positions, segments, targets))
    length = max(len(row[0]) for row in rows)
    all_ids, places, numbers, wanted = (
        torch.tensor([row[k] + [fill] * (length - len(row[k])) for row in rows])
        for k, fill in enumerate((0, prefix, 0, _IGNORED))
    )
    return Packed(all_ids, places, numbers, wanted)


def packed_mask(segments: Tensor, prefix: int) -> Tensor:
    """Which position sees which: [B, 1, P + S, P + S], True where allowed.

    The prefix is causal; a segment sees the prefix and its own past; padding sees the prefix.
    """
    batch, length = segments.shape
    numbers = torch.cat([segments.new_zeros(batch, prefix), segments], dim=1)
    device = segments.device
    causal = torch.ones(prefix + length, prefix + length, dtype=torch.bool, device=device).tril()
    in_prefix = torch.arange(prefix + length, device=device) < prefix
    same = (numbers[:, :, None] == numbers[:, None, :]) | in_prefix
    return (causal & same)[:, None]


def packed_states(
    decoder: Any, prefix: Tensor, embed: Callable[[Tensor], Tensor], packed: Packed, **more: Any
) -> Tensor:
    """Hidden states [B, S, W] of packed questions behind a prefix.

    Args:
        decoder: a transformers base model that takes embeddings, an additive mask and positions.
        prefix: [B, P, W] embeddings.
        embed: token ids to embeddings.
        packed: the questions.
        more: further arguments of the decoder.
    """
    length = prefix.shape[1]
    allowed = packed_mask(packed.segments, length)
    mask = torch.zeros(allowed.shape, device=prefix.device).masked_fill_(~allowed, torch.finfo(torch.float32).min)
    before = torch.arange(length, device=prefix.device).expand(len(prefix), -1)
    output = decoder(
        inputs_embeds=torch.cat([prefix, embed(packed.ids)], dim=1),
        attention_mask=mask,
        position_ids=torch.cat([before, packed.positions], dim=1),
        use_cache=False,
        **more,
    )
    states: Tensor = output.last_hidden_state[:, length:]
    return states
