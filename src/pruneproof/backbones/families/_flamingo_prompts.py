"""The prompt of one question on one image, as transformers' `IdeficsProcessor` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pruneproof.backbones import History
from pruneproof.backbones.language.conversation import chat_template, chat_text, shortened
from pruneproof.errors import PruneProofError

IMAGE = "<image>"
FAKE = "<fake_token_around_image>"
END = "<end_of_utterance>"
"""Ends a turn in the instructed checkpoints (idefics-9b-instruct); the tokenizer of the base ones does not know it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A tokenised prompt, cut before the image placeholder."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    """From the placeholder on: these tokens look at the image, those before it at none."""

    def __len__(self) -> int:
        """Tokens, the image's placeholder among them."""
        return len(self.before) + len(self.after)


def prompt_text(processor: Any, question: str, history: History = ()) -> str:
    """The text that the processor tokenises for an image and a question, earlier turns between them.

    The turn is the checkpoint's own chat template if it has one; else
    `User:<image>{question}<end_of_utterance>\\nAssistant:` if the tokenizer knows the end of an utterance, as that of
    idefics-9b-instruct does; else `<image>Question: {question} Answer:` for base checkpoints. Both are from
    transformers' guide `tasks/idefics.md`, without the instruction that it puts before the second. An earlier turn is
    followed by its answer, ended as in the model card of idefics-9b-instruct where the tokenizer knows that end.

    The processor puts the beginning of the sequence before a turn and `<fake_token_around_image>` on both sides of the
    image, and strips spaces there. A question that is a web address stays text; the processor would fetch a picture.

    Raises:
        PruneProofError: unless the turn holds exactly one image placeholder.
    """
    turns = _turns(processor, question, history)
    if turns.count(IMAGE) != 1:
        raise PruneProofError(
            f"the prompt of {shortened(question)} holds {turns.count(IMAGE)} image placeholders, not 1: "
            f"no question, suffix or earlier turn may contain {IMAGE}, and a chat template must write it once"
        )
    bos: str = processor.tokenizer.bos_token
    before, after = turns.removeprefix(bos).split(IMAGE)
    before, after = before.removesuffix(FAKE).strip(" "), after.removeprefix(FAKE).strip(" ")
    return f"{bos}{before}{FAKE}{IMAGE}{FAKE}{after}"


def build_prompt(processor: Any, question: str, history: History = ()) -> Prompt:
    """The tokenised prompt of a question.

    Raises:
        PruneProofError: as `prompt_text`.
    """
    tokenizer = processor.tokenizer
    ids: list[int] = tokenizer(prompt_text(processor, question, history), add_special_tokens=False).input_ids
    at = ids.index(tokenizer.convert_tokens_to_ids(IMAGE))
    return Prompt(tuple(ids[:at]), tuple(ids[at:]))


def _turns(processor: Any, question: str, history: History) -> str:
    template = chat_template(processor)
    if template is not None:
        return chat_text(processor, template, question, history, image=True)
    if END in processor.tokenizer.get_vocab():
        said = "".join(f"{asked}{END}\nAssistant: {answer}{END}\nUser: " for asked, answer in history)
        return f"User:{IMAGE}{said}{question}{END}\nAssistant:"
    said = "".join(f"Question: {asked} Answer: {answer} " for asked, answer in history)
    return f"{IMAGE}{said}Question: {question} Answer:"
