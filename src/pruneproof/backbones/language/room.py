"""Whether a prompt and its answer fit into a language model, checked before anything is computed."""

from __future__ import annotations

from typing import Any

from pruneproof.backbones.language.conversation import shortened
from pruneproof.errors import PruneProofError


def require_room(config: Any, question: str, text: int, visual: int, longest: int) -> None:
    """Refuse a prompt that has more tokens than the language model has positions.

    The last new token is never read, so it needs no position. A model without a limit in its config (T5, whose
    positions are relative) takes any prompt.

    Args:
        config: of the model; its `max_position_embeddings` is the limit.
        question: for the message.
        text: tokens of the prompt, question and template together.
        visual: further positions that the image takes.
        longest: most new tokens.

    Raises:
        PruneProofError: naming the checkpoint, both lengths and the limit.
    """
    limit = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    if limit is None or text + visual + longest - 1 <= limit:
        return
    image = f", {visual} of the image" if visual else ""
    raise PruneProofError(
        f"the question {shortened(question)} is too long for checkpoint {config.name_or_path!r}: its prompt has {text} "
        f"tokens{image} and up to {longest} new ones follow, but the language model has {limit} positions; "
        "shorten the question"
    )
