"""Many questions on one image in one sequence: each sees the image and itself only, so an image is read once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from pruneproof.backbones.builtin.corpus import Lesson
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
    lessons: list[list[Lesson]]

    def to(self, device: str) -> Packed:
        """The same on a device."""
        ids, positions, segments, targets = (
            tensor.to(device) for tensor in (self.ids, self.positions, self.segments, self.targets)
        )
        return Packed(ids, positions, segments, targets, self.lessons)


def segment(tokenizer: PreTrainedTokenizerFast, lesson: Lesson) -> tuple[list[int], int]:
    """Token ids of question, `<answer>`, answer and end, and how many of them are the question's.

    A short form has no `<answer>`: its answer follows the noun.
    """
    mark = [] if lesson.form.startswith("short") else [tokenizer.convert_tokens_to_ids(ANSWER)]
    question = tokenizer(lesson.question, add_special_tokens=False).input_ids + mark
    answer = [*tokenizer(lesson.answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    return question + answer, len(question)


def pack(tokenizer: PreTrainedTokenizerFast, lessons: list[list[Lesson]], prefix: int) -> Packed:
    """Pack each image's lessons into one row."""
    rows = []
    for of_image in lessons:
        ids: list[int] = []
        positions: list[int] = []
        segments: list[int] = []
        targets: list[int] = []
        for number, lesson in enumerate(of_image, start=1):
            tokens, asked = segment(tokenizer, lesson)
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
    return Packed(all_ids, places, numbers, wanted, lessons)


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
