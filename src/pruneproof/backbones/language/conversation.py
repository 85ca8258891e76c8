"""A question and what was said before it, as a checkpoint's chat template writes it and its tokenizer reads it."""

from __future__ import annotations

from typing import Any

from pruneproof.backbones import History
from pruneproof.errors import PruneProofError

_PROBE = "is there a cat?"
_SHOWN = 60
"""The most characters of a question that a message quotes."""


def messages(question: str, history: History, image: bool) -> list[dict[str, Any]]:
    """User and assistant by turns, the question last.

    Args:
        question: asked now.
        history: earlier turns, oldest first.
        image: whether the first turn begins with the image's placeholder.
    """
    said = [(role, text) for turn in history for role, text in zip(("user", "assistant"), turn, strict=True)]
    found: list[dict[str, Any]] = [
        {"role": role, "content": [{"type": "text", "text": text}]} for role, text in (*said, ("user", question))
    ]
    if image:
        found[0]["content"].insert(0, {"type": "image"})
    return found


def chat_template(processor: Any) -> str | None:
    """The chat template of a checkpoint: the processor's own, else its tokenizer's; None if there is neither.

    A checkpoint may keep it in `chat_template.jinja`, which both read, or in `tokenizer_config.json` alone. Of several,
    the one called `default` counts, as in transformers.
    """
    for owner in (processor, processor.tokenizer):
        found = getattr(owner, "chat_template", None)
        if isinstance(found, dict):
            found = found.get("default")
        if found:
            return str(found)
    return None


def chat_text(processor: Any, template: str, question: str, history: History, image: bool) -> str:
    """The prompt that a chat template writes.

    Args:
        processor: of the checkpoint; its tokenizer's special tokens are variables of the template.
        template: from `chat_template`.
        question: asked now.
        history: earlier turns, oldest first.
        image: whether the first turn begins with the image.

    Raises:
        PruneProofError: if the template cannot be rendered.
    """
    try:
        text: str = processor.tokenizer.apply_chat_template(
            messages(question, history, image), chat_template=template, add_generation_prompt=True, tokenize=False
        )
    except Exception as error:  # a template is a program, which can raise anything
        turns = f" after {len(history)} earlier turns" if history else ""
        why = " ".join(str(error).split())
        raise PruneProofError(
            f"the chat template cannot be rendered for the question {shortened(question)}{turns} "
            f"({type(error).__name__}: {why}): correct the checkpoint's chat_template.jinja"
        ) from error
    return text


def sound_template(processor: Any, name: str, placeholder: str | None) -> str | None:
    """`chat_template`, tried on a question so that a faulty template is refused before anything is asked.

    Args:
        processor: of the checkpoint.
        name: of the checkpoint, for the message.
        placeholder: the image's token, where the template must write it; None where the image comes before the prompt.

    Raises:
        PruneProofError: saying what the template does wrong.
    """
    template = chat_template(processor)
    if template is None:
        return None
    text = chat_text(processor, template, _PROBE, (), image=placeholder is not None)
    fault = None
    if "'type': 'text'" in text:
        fault = "writes `message['content']` as one text, but it is a list of parts: loop over them"
    elif _PROBE not in text.lower():
        fault = "does not write the question"
    elif placeholder is not None and text.count(placeholder) != 1:
        fault = f"writes the image's placeholder {placeholder} {text.count(placeholder)} times, not once"
    if fault:
        raise PruneProofError(f"checkpoint {name!r}: its chat template {fault}; correct its chat_template.jinja")
    return template


def prompt_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids of a whole prompt; special tokens are added unless a template has written the first of them already.

    Source: transformers `ProcessorMixin.apply_chat_template` with `tokenize=True`.
    """
    begun = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    ids: list[int] = tokenizer(text, add_special_tokens=not begun).input_ids
    return ids


def shortened(question: str) -> str:
    """A question as a message quotes it."""
    return repr(question if len(question) <= _SHOWN else f"{question[:_SHOWN]}...")
