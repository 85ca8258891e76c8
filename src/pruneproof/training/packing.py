"""Many dialogues on one image in one sequence: each sees the image and itself only, so an image is read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from pruneproof.training.dialogues import Dialogue
from pruneproof.training.students import Predictions
from pruneproof.training.tokenizer import ANSWER

_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Packed:
    """Segments of a batch of images, a dialogue each, after a shared prefix that is not part of it."""

    ids: Tensor
    """[B, S] token ids, padded with 0."""
    positions: Tensor
    """[B, S]; every segment starts again after the prefix."""
    segments: Tensor
    """[B, S] number of the segment, from 1; 0 for padding."""
    targets: Tensor
    """[B, S] the token to predict from each position; -100 where none is."""
    lessons: Tensor
    """[B, S] index of the lesson among all of its image, dialogue by dialogue."""

    def to(self, device: str) -> Packed:
        """The same on a device."""
        ids, positions, segments, targets, lessons = (
            tensor.to(device) for tensor in (self.ids, self.positions, self.segments, self.targets, self.lessons)
        )
        return Packed(ids, positions, segments, targets, lessons)

    def predictions(self, head: Callable[[Tensor], Tensor], states: Sequence[Tensor]) -> Predictions:
        """What a head says where a token is to be predicted.

        Args:
            head: of the language model.
            states: [B, S, W] after each layer; the last are the head's.
        """
        asked = self.targets >= 0
        image, column = asked.nonzero(as_tuple=True)
        *inner, last = states
        lessons = self.lessons[image, column]
        return Predictions(head(last[asked]), self.targets[asked], image, lessons, tuple(inner))


class Step(NamedTuple):
    """One position of a segment."""

    token: int
    target: int
    """The token to predict after it, or -100."""
    turn: int
    """Of the dialogue, from 0."""


def segment(tokenizer: PreTrainedTokenizerFast, dialogue: Dialogue, start: Sequence[int] = ()) -> list[Step]:
    """A dialogue: `start`, then question, `<answer>` and answer of every turn.

    The last token of an answer is to predict the end, which is never shown: the next question follows the answer, as
    after `</s>` Idefics' processor would hide the image. A short form has no `<answer>`: its answer follows the noun.
    """
    shown, targets, turns = list(start), [_IGNORED] * len(start), [0] * len(start)
    for turn, lesson in enumerate(dialogue):
        mark = [] if lesson.form.startswith("short") else [tokenizer.convert_tokens_to_ids(ANSWER)]
        question = [*tokenizer(lesson.question, add_special_tokens=False).input_ids, *mark]
        answer = tokenizer(lesson.answer, add_special_tokens=False).input_ids
        shown += [*question, *answer]
        targets += [*[_IGNORED] * (len(question) - 1), *answer, tokenizer.eos_token_id]
        turns += [turn] * (len(question) + len(answer))
    return [Step(*step) for step in zip(shown, targets, turns, strict=True)]


def pack(
    tokenizer: PreTrainedTokenizerFast,
    dialogues: Sequence[Sequence[Dialogue]],
    prefix: int,
    start: Sequence[int] = (),
) -> Packed:
    """Pack each image's dialogues into one row.

    Args:
        tokenizer: of the language model.
        dialogues: of each image.
        prefix: positions before the first segment.
        start: token ids that every segment begins with.
    """
    rows = []
    for of_image in dialogues:
        row: list[tuple[int, int, int, int, int]] = []
        before = 0
        for number, dialogue in enumerate(of_image, start=1):
            steps = segment(tokenizer, dialogue, start)
            row += [(s.token, prefix + at, number, s.target, before + s.turn) for at, s in enumerate(steps)]
            before += len(dialogue)
        rows.append(row)
    length = max(len(row) for row in rows)
    padding = (0, prefix, 0, _IGNORED, 0)
    filled = torch.tensor([row + [padding] * (length - len(row)) for row in rows])
    ids, positions, segments, targets, lessons = filled.unbind(-1)
    return Packed(ids, positions, segments, targets, lessons)


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
) -> tuple[Tensor, ...]:
    """Hidden states [B, S, W] of packed questions after a prefix: what each layer gives, the last one normalised.

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
        output_hidden_states=True,
        **more,
    )
    states = (*output.hidden_states[1:-1], output.last_hidden_state)
    return tuple(state[:, length:] for state in states)
