"""From generated tokens to replies: the same for every family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pruneproof.backbones import Reply
from pruneproof.backbones.language.generation import Generated


class Verdicts(NamedTuple):
    """Ids of the tokens that an answer can begin with, for `yes` and for `no`."""

    yes: list[int]
    no: list[int]


def verdicts(tokenizer: Any, prompt: str) -> Verdicts:
    """The first tokens of `yes` and `no`, as a tokenizer writes them after a prompt.

    Args:
        tokenizer: of the checkpoint.
        prompt: any whole prompt; empty for an encoder-decoder, whose answers are separate texts.
    """

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
        return found

    start = len(ids(prompt))

    def first(word: str) -> set[int]:
        rows = (ids(f"{prompt}{gap}{form}") for gap in ("", " ") for form in (word, word.capitalize()))
        return {row[start] for row in rows if len(row) > start}

    yes, no = first("yes"), first("no")
    return Verdicts(sorted(yes - no), sorted(no - yes))


def replies(
    tokenizer: Any, generated: Sequence[Generated], either: Verdicts, visual: Sequence[tuple[int, ...]]
) -> list[Reply]:
    """Texts without special tokens, stripped, and the greatest logit of each verdict at the first position.

    Args:
        tokenizer: of the checkpoint.
        generated: an answer each.
        either: ids of the verdicts.
        visual: as of `Reply`, for each answer.
    """
    texts = tokenizer.batch_decode([row.tokens for row in generated], skip_special_tokens=True)
    return [
        Reply(
            text=text.strip(),
            yes_logit=float(row.first_logits[either.yes].max()),
            no_logit=float(row.first_logits[either.no].max()),
            sequence=row.lengths[0],
            visual=tokens,
            left=row.left,
        )
        for text, row, tokens in zip(texts, generated, visual, strict=True)
    ]
