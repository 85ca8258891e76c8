"""Whether a reworded question still has the same true answer.

Automatic rewording breaks labels: an unguarded keyboard typo turns `snowboard` into something nobody asks for, a swap
turns `on` into `no`. Each function here takes (sample, reworded question) and returns one of the reasons below, or
None. They judge words, not meaning: what they let through keeps every word that the answer depends on.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from pruneproof.perturbations.text._words import (
    WORD,
    YES_NO,
    is_negation,
    is_number,
    negations,
    numbers,
    words,
)
from pruneproof.records import Sample
from pruneproof.wording import contains

UNCHANGED = "text is unchanged"
PROTECTED_LOST = "a protected word was lost"
YES_NO_ADDED = "a yes/no word was introduced"
NUMBER_CHANGED = "a number was changed"
NEGATION_CHANGED = "a negation was changed"
RIVAL_ADDED = "the answer or a rival of it was introduced"
QUESTION_BROKEN = "the question is not contained verbatim"
SUBJECT_MENTIONED = "the added sentence mentions what is asked for"

_FUNCTION_WORDS = frozenset(
    words(
        "a an and any are as at be by do does for from has have here how i in is it its many of on or some that the "
        "there these this those to was what which with yes no not"
    )
)


def reworded(sample: Sample, text: str) -> str | None:
    """For a paraphrase: every protected word, number and negation is still there, and no yes/no word is new."""
    return _same_facts(sample, text, replaceable={})


def vouched_for(sample: Sample, text: str) -> str | None:
    """For a text whose authors checked that the label holds: anything but the question itself."""
    return UNCHANGED if text == sample.question else None


def with_synonyms(sample: Sample, text: str) -> str | None:
    """As `reworded`, but a declared synonym may stand for a protected word, or for a phrase that holds it."""
    replaced = {
        word: [synonym for phrase, synonym in sample.synonyms if contains(phrase, word)] for word in sample.protected
    }
    return _same_facts(sample, text, replaced)


def mistyped(sample: Sample, text: str) -> str | None:
    """As `reworded`, stricter: protected words keep their case and number, and no rival word appeared by accident."""
    fault = _same_facts(sample, text, replaceable={})
    if fault:
        return fault
    if Counter(held_words(sample)) - Counter(WORD.findall(text)):
        return PROTECTED_LOST
    if rivals(sample) & set(words(text)):
        return RIVAL_ADDED
    return None


def with_neutral(sample: Sample, text: str) -> str | None:
    """For an added sentence about something else: it holds nothing that the question, or an answer, is about."""
    added = _added(sample, text)
    if added is None:
        return UNCHANGED if text == sample.question else QUESTION_BROKEN
    fault = _facts_added(added, allowed=frozenset())
    if fault:
        return fault
    if _mentions_subject(sample, added):
        return SUBJECT_MENTIONED
    return RIVAL_ADDED if rivals(sample) & set(words(added)) else None


def with_absent(sample: Sample, text: str) -> str | None:
    """As `with_neutral`, but the sentence may mention a class that is not in the image, other than the asked one."""
    added = _added(sample, text)
    if added is None:
        return UNCHANGED if text == sample.question else QUESTION_BROKEN
    return _facts_added(added, allowed=frozenset()) or (SUBJECT_MENTIONED if _mentions_subject(sample, added) else None)


def with_claim(sample: Sample, text: str) -> str | None:
    """For an added false claim: it may hold the claim's own numbers and negations, but never the true answer."""
    added = _added(sample, text)
    if added is None:
        return UNCHANGED if text == sample.question else QUESTION_BROKEN
    claimed = frozenset(words(" ".join(sample.alternatives)))
    fault = _facts_added(added, allowed=claimed)
    if fault:
        return fault
    answer = _answer_words(sample) - set(words(sample.question))
    return RIVAL_ADDED if answer & set(words(added)) or _answer_numbers(sample) & set(numbers(added)) else None


def held_words(sample: Sample) -> tuple[str, ...]:
    """Words of the question that a typo must leave alone, as written and in order.

    These are the protected words (also inside a compound, such as `car-shaped`), numbers, negations and yes/no words.
    """
    return _held_words(sample.question, sample.protected)


def rivals(sample: Sample) -> frozenset[str]:
    """Content words that would change what is asked or give it away: answers, absent classes, false claims.

    Words of the question itself and function words are not among them; a caption has no answer to give away.
    """
    texts = [*sample.absent, *sample.alternatives]
    found = {word for text in texts for word in words(text)} | _answer_words(sample)
    return frozenset(found - set(words(sample.question)) - _FUNCTION_WORDS)


@lru_cache(maxsize=1 << 14)
def _held_words(question: str, phrases: tuple[str, ...]) -> tuple[str, ...]:
    protected = {word for phrase in phrases for word in words(phrase)}
    return tuple(word for word in WORD.findall(question) if _is_held(word, protected))


def _is_held(word: str, protected: set[str]) -> bool:
    (plain,) = words(word)
    parts = {plain, *plain.replace("'", "-").split("-")}
    return bool(parts & protected) or plain in YES_NO or is_negation(plain) or any(map(is_number, parts))


def _same_facts(sample: Sample, text: str, replaceable: dict[str, list[str]]) -> str | None:
    question = sample.question
    if text == question:
        return UNCHANGED
    for word in sample.protected:
        if contains(question, word) and not any(
            contains(text, candidate) for candidate in (word, *replaceable.get(word, ()))
        ):
            return PROTECTED_LOST
    if (YES_NO & set(words(text))) - set(words(question)):
        return YES_NO_ADDED
    if numbers(text) != numbers(question):
        return NUMBER_CHANGED
    if negations(text) != negations(question):
        return NEGATION_CHANGED
    return None


def _added(sample: Sample, text: str) -> str | None:
    """The text before or after the verbatim question; None if nothing does or the question is broken."""
    before, separator, after = text.partition(sample.question)
    added = f"{before} {after}".strip()
    return added if separator and added else None


def _facts_added(added: str, allowed: frozenset[str]) -> str | None:
    new = set(words(added)) - allowed
    if YES_NO & new:
        return YES_NO_ADDED
    if any(map(is_number, new)):
        return NUMBER_CHANGED
    return NEGATION_CHANGED if any(map(is_negation, new)) else None


def _mentions_subject(sample: Sample, added: str) -> bool:
    subjects = [word for word in (*sample.protected, sample.target) if word and word.casefold() not in _FUNCTION_WORDS]
    return any(contains(added, subject) for subject in subjects)


def _answer_words(sample: Sample) -> set[str]:
    return set() if sample.asks == "caption" else set(words(" ".join(sample.truths))) - YES_NO


def _answer_numbers(sample: Sample) -> set[str]:
    return set() if sample.asks == "caption" else set(numbers(" ".join(sample.truths)))
