"""The prompt of one question on one image, as transformers' `IdeficsProcessor` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pruneproof.errors import PruneProofError

IMAGE = "<image>"
FAKE = "<fake_token_around_image>"
END = "<end_of_utterance>"
"""Ends a turn in the instructed checkpoints (idefics-9b-instruct); the tokenizer of the base ones does not know it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A tokenised prompt, cut before the image placeholder."""

    before: tuple[int, ...]
    behind: tuple[int, ...]
    """From the placeholder on: these tokens look at the image, those before it at none."""


def prompt_text(tokenizer: Any, question: str) -> str:
    """The text that the processor tokenises for one user turn of an image and a question.

    The turn is the checkpoint's own chat template if its tokenizer has one (`IdeficsProcessor` itself reads none); else
    `User:<image>{question}<end_of_utterance>\\nAssistant:` if the tokenizer knows the end of an utterance, as that of
    idefics-9b-instruct does; else `<image>Question: {question} Answer:` for base checkpoints. Both are from
    transformers' guide `tasks/idefics.md`, without the instruction that it puts before the second.

    The processor puts the beginning of the sequence before a turn and `<fake_token_around_image>` on both sides of the
    image, and strips spaces there. A question that is a web address stays text; the processor would fetch a picture.

    Raises:
        PruneProofError: unless the turn holds exactly one image placeholder.
    """
    turn = _turn(tokenizer, question)
    if turn.count(IMAGE) != 1:
        raise PruneProofError(
            f"the prompt of {question!r} holds {turn.count(IMAGE)} image placeholders, not 1: "
            f"neither a question nor its suffix may contain {IMAGE}, and a chat template must write it once"
        )
    bos: str = tokenizer.bos_token
    before, behind = turn.removeprefix(bos).split(IMAGE)
    before, behind = before.removesuffix(FAKE).strip(" "), behind.removeprefix(FAKE).strip(" ")
    return f"{bos}{before}{FAKE}{IMAGE}{FAKE}{behind}"


def build_prompt(tokenizer: Any, question: str) -> Prompt:
    """The tokenised prompt of a question.

    Raises:
        PruneProofError: as `prompt_text`.
    """
    ids: list[int] = tokenizer(prompt_text(tokenizer, question), add_special_tokens=False).input_ids
    at = ids.index(tokenizer.convert_tokens_to_ids(IMAGE))
    return Prompt(tuple(ids[:at]), tuple(ids[at:]))


def _turn(tokenizer: Any, question: str) -> str:
    if tokenizer.chat_template:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text: str = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return text
    if END in tokenizer.get_vocab():
        return f"User:{IMAGE}{question}{END}\nAssistant:"
    return f"{IMAGE}Question: {question} Answer:"
