"""The same question in other words: a phrasing the model was not trained on, one that people wrote, or synonyms."""

from __future__ import annotations

import re

import numpy as np

from pruneproof.perturbations.text import NotApplicable, TextPerturbation, _gate
from pruneproof.records import Sample

_VOWEL_SOUND = re.compile(r"(?!uni|use|eu|one\b)[aeiou]|hour|honest", re.IGNORECASE)


def phrasing(sample: Sample, severity: int, rng: np.random.Generator) -> str:
    """One of the sample's rephrasings.

    Before: `Is there a car in the image?`  After: `Would you say a car is visible here?`

    Rephrasings come with the benchmark, and the gate judges them as it judges any other text.

    Raises:
        NotApplicable: if the sample has no rephrasing but the question itself.
    """
    others = [text for text in sample.rephrasings if text != sample.question]
    if not others:
        raise NotApplicable("the sample has no rephrasing")
    return others[int(rng.integers(len(others)))]


def human(sample: Sample, severity: int, rng: np.random.Generator) -> str:
    """The sample's first, second or third rephrasing, of which the severity is the number.

    Before: `What color is the plant?`  After: `The plant has what color?`

    For benchmarks whose questions people rephrased, such as VQA-Rephrasings (Shah et al. 2019), where other people
    checked that the answer stayed the same. They may have other words for everything, so that the gate cannot judge
    them by words. A study asks all three, which the consensus score needs.

    Raises:
        NotApplicable: if there are fewer rephrasings, or it is the question itself.
    """
    if len(sample.rephrasings) < severity:
        raise NotApplicable(f"the sample has no rephrasing {severity}")
    if sample.rephrasings[severity - 1] == sample.question:
        raise NotApplicable(f"rephrasing {severity} is the question itself")
    return sample.rephrasings[severity - 1]


def synonym(sample: Sample, severity: int, rng: np.random.Generator) -> str:
    """The question with one or more words replaced by synonyms, with the article that fits.

    Before: `Is there an airplane in the image?`  After: `Is there a plane in the picture?`

    Each replaceable word is replaced with probability one half, at least one of them always. All replacements happen
    at once, so that a replacement is never replaced again.

    Raises:
        NotApplicable: if no word of the question has a synonym.
    """
    choices: dict[str, list[str]] = {}
    for word, replacement in sample.synonyms:
        choices.setdefault(word.casefold(), []).append(replacement)
    present = sorted({match.casefold() for match in _any_of(choices).findall(sample.question)}) if choices else []
    if not present:
        raise NotApplicable("the sample has no synonym for a word of the question")
    chosen = {word for word in present if rng.random() < 0.5} or {present[int(rng.integers(len(present)))]}
    drawn = {word: choices[word][int(rng.integers(len(choices[word])))] for word in sorted(chosen)}
    pattern = re.compile(rf"(?:\b(?P<article>an?)(?P<space>\s+))?(?P<word>{_any_of(drawn).pattern})", re.IGNORECASE)
    return pattern.sub(lambda match: _replaced(match, drawn), sample.question)


def _any_of(phrases: dict[str, list[str]] | dict[str, str]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def _replaced(match: re.Match[str], drawn: dict[str, str]) -> str:
    word, article = match["word"], match["article"]
    new = drawn[word.casefold()]
    if word[0].isupper():
        new = new[0].upper() + new[1:]
    if article is None:
        return new
    fitting = "an" if _VOWEL_SOUND.match(new) else "a"
    return (fitting.capitalize() if article[0].isupper() else fitting) + match["space"] + new


PERTURBATIONS = {
    "paraphrase_phrasing": TextPerturbation(phrasing, _gate.reworded),
    "paraphrase_human": TextPerturbation(human, _gate.vouched_for, severities=(1, 2, 3), graded=False),
    "paraphrase_synonym": TextPerturbation(synonym, _gate.with_synonyms),
}
