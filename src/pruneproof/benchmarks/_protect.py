"""Words of a question that carry its answer, for benchmarks whose authors marked none.

No list of nouns is long enough for questions that people wrote: `Is the desk cluttered?` and `Does the door open inward
or outward?` turn on words that no list of objects, numbers, colours or negations holds. So it is the words without
content that are listed here, all those of closed classes, and every other word is protected. What is free is the
wording: `Is there ... in the image?`, `What kind of ... do you see?`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache

from pruneproof.records import Sample
from pruneproof.wording import contains, placed_words, words

EMPTY = frozenset(
    words(
        """
    a an the this that these those
    what which who whom whose where when why how
    i you it we they me us them my your its our their
    am is are was were be been being do does did have has had
    can could will would shall should may might must
    there here of to for from by with as if and or than so
    some any please tell see visible seen shown pictured depicted
    what's who's where's how's that's there's it's they're i'm
    """
    )
)
"""Words that may be mistyped and leave the question what it was.

Places and directions (`in`, `on`, `left`), quantities that an answer depends on (`all`, `only`, `more`), numbers and
negations are none of them, nor is `she`, which a slip turns into `s he`."""

_PICTURE = "image|picture|photo|photograph|pic"
_FRAMES = re.compile(rf"\b(?:in|of) (?:the|this|that) (?:{_PICTURE})\b|\b(?:kind|type|sort)s? of\b", re.IGNORECASE)
"""Words of content that carry none in such a phrase: `in the picture` says nothing, `a picture on the wall` does."""
_NAMED = re.compile(r"\b(?:an?|the) (can|will|might|must|us)\b", re.IGNORECASE)
"""What is a noun next to an article, and empty elsewhere: `a can on the table`."""


def protected(question: str, answers: Sequence[str], nouns: Collection[str] = ()) -> tuple[str, ...]:
    """Words and phrases of a question that a text perturbation must leave as they are.

    They are every word that is not empty (`EMPTY`, or part of a phrase such as `in the picture`), and whatever names an
    object or an answer, empty or not: `Is it here or there?`

    Args:
        question: as the benchmark's authors wrote it.
        answers: all that count as true.
        nouns: the benchmark's own names of objects.

    Returns:
        As they are written in the question, in its order, each once; phrases come last.

    Examples:
        >>> protected("Is there a snowboard in the image?", ["yes"])
        ('snowboard',)
        >>> protected("Is the traffic light red or green?", ["red"], ["traffic light"])
        ('light', 'red', 'green', 'traffic light')
    """
    told = {*words(question)}
    (names, doubles), (replies, phrases) = _split(frozenset(nouns)), _split(frozenset(answers))
    free = EMPTY - names - replies
    said = _FRAMES.sub(lambda found: " " * len(found[0]), question)
    named = {found.start(1) for found in _NAMED.finditer(question)}
    single = [word for start, word in placed_words(said) if start in named or words(word)[0] not in free]
    whole = [phrase for phrase, first in (*doubles, *phrases) if first in told and contains(question, phrase)]
    return tuple({entry.casefold(): entry for entry in reversed((*single, *whole))}.values())[::-1]


def fill_protected(samples: Sequence[Sample], nouns: Collection[str]) -> tuple[tuple[Sample, ...], dict[str, int]]:
    """Samples in which every question has its protected words: those that its benchmark gives, else those found here.

    A request for a caption stays as it is, for no word of it carries an answer.

    Args:
        samples: of one benchmark.
        nouns: its names of objects.

    Returns:
        The samples in their order, and how many different questions have words of the benchmark, found ones or none.
    """
    source: dict[tuple[str, str], str] = {}
    filled = []
    for sample in samples:
        if sample.asks != "caption":
            found = sample.protected or protected(sample.question, sample.truths, nouns)
            source[sample.image_id, sample.question] = (
                "by_benchmark" if sample.protected else "found" if found else "none"
            )
            sample = sample if sample.protected else replace(sample, protected=found)
        filled.append(sample)
    counted = Counter(source.values())
    return tuple(filled), {name: counted[name] for name in ("by_benchmark", "found", "none")}


@lru_cache(maxsize=1 << 12)
def _split(names: frozenset[str]) -> tuple[frozenset[str], tuple[tuple[str, str], ...]]:
    """Names of one word, in lower case, and those of several with their first word."""
    said = {name: words(name) for name in sorted(names)}
    single = frozenset(parts[0] for parts in said.values() if len(parts) == 1)
    return single, tuple((name, parts[0]) for name, parts in said.items() if len(parts) > 1)
