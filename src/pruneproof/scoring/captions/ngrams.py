"""N-grams of a caption, as BLEU and CIDEr count them."""

from __future__ import annotations

LONGEST = 4
"""Both scores use n-grams of one to four words."""


def count(caption: str) -> tuple[dict[str, int], ...]:
    """How often each n-gram occurs: one table for one word, one for two, up to four, each in the order of the text.

    Args:
        caption: tokens with white space between them, from `tokens`.

    Returns:
        `LONGEST` tables from an n-gram, its words with single blanks between them, to its number of occurrences.
    """
    words = caption.split()
    tables: tuple[dict[str, int], ...] = tuple({} for _ in range(LONGEST))
    for length, table in enumerate(tables, start=1):
        for start in range(len(words) - length + 1):
            ngram = " ".join(words[start : start + length])
            table[ngram] = table.get(ngram, 0) + 1
    return tables
