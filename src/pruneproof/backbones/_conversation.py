"""A question with what was said before it, as chat templates read it."""

from __future__ import annotations

from typing import Any

from pruneproof.backbones import History


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
