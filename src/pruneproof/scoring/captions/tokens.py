"""Captions cut into tokens, before any n-gram score sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pruneproof.scoring.captions import java, plain_tokens

Tokens = Literal["ptb", "plain"]
"""`ptb`: those of published numbers, which need Java and pycocoevalcap; `plain`: near them, everywhere."""


def tokenise(captions: Sequence[str], how: Tokens) -> list[str]:
    """Cut many captions at once, which matters for `ptb`: it starts Java.

    Args:
        captions: text.
        how: which tokens.

    Returns:
        For each caption its tokens in lower case with single blanks between them, without punctuation.

    Raises:
        PruneProofError: for `ptb` without Java or pycocoevalcap.
    """
    return java.ptb_tokens(captions) if how == "ptb" else [plain_tokens.tokenise(caption) for caption in captions]
