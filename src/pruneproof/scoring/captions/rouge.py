"""ROUGE-L as pycocoevalcap computes it (Lin, 2004; salaniz/pycocoevalcap, `rouge/rouge.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from pruneproof.errors import PruneProofError

BETA = 1.2
"""How much recall weighs against precision."""


def score(candidate: str, references: Sequence[str]) -> float:
    """ROUGE-L of one caption, 0 to 1; the score of a set is the mean.

    The best precision and the best recall are taken apart, possibly from two references. The text is cut at single
    blanks, so that an empty caption is one empty word, which an empty reference matches: 1.

    Args:
        candidate: tokens with single blanks between them, from `tokens`.
        references: at least one, in the same form.

    Raises:
        PruneProofError: without a reference.
    """
    if not references:
        raise PruneProofError(f"captions: {candidate!r} has no reference; leave its picture out")
    said = candidate.split(" ")
    precision = recall = 0.0
    for reference in references:
        words = reference.split(" ")
        shared = longest_common_subsequence(said, words)
        precision = max(precision, shared / len(said))
        recall = max(recall, shared / len(words))
    if not precision:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, one machine operation a word (Crochemore et al., 2001).

    Each bit of `row` stands for a word of `first`; the bits that are zero at the end are the words that matched.

    Examples:
        >>> longest_common_subsequence("a dog on a couch".split(), "a couch and a dog".split())
        2
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | (1 << place)
    everything = (1 << len(first)) - 1
    row = everything
    for word in second:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & everything
    return len(first) - row.bit_count()
