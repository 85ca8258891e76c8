"""Whatever a question is made of, every perturbation rewords it or says why not, and the gate holds."""

from __future__ import annotations

import random
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneproof.perturbations.text import registered
from pruneproof.perturbations.text._nlpaug import join, pieces
from pruneproof.perturbations.text.stage import reword
from pruneproof.records import Condition, Sample

WORDS = (
    "is", "there", "the", "car", "traffic_light", "T-shirt", "picture", "people", "not", "no", "two", "3", "1/2", "n't",
    "isn't", "{object}", "\\1", "$5", "50%", "(a", "[b", "*", "½", "²", "٣", "ß", "İ", "e\u0301", "中文", "😀",
    "a\u200db\u200bc", "?", "<b>",
)  # fmt: skip
WORD = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=5)
SPACE = st.sampled_from([" ", "  ", "\n", "\t", "_", "-", "\N{NO-BREAK SPACE}"])


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    words = draw(st.lists(WORD, min_size=1, max_size=9))
    spaces = draw(st.lists(SPACE, min_size=len(words), max_size=len(words)))
    question = "".join(word + space for word, space in zip(words, spaces, strict=True)) + draw(st.sampled_from("?. "))
    inside = st.sampled_from(question.split() or [question])
    return Sample(
        "s",
        "i",
        draw(st.sampled_from(["existence", "colour", "count", "compositional", "caption"])),
        question,
        draw(st.sampled_from(["yes", "no", "red", "2"])),
        target=draw(st.sampled_from(["", "car", "traffic light"])),
        protected=tuple(draw(st.lists(inside, max_size=2))),
        synonyms=tuple(draw(st.lists(st.tuples(inside, WORD), max_size=2))),
        rephrasings=tuple(draw(st.lists(st.just(f"Say: {question}") | WORD, max_size=2))),
        absent=tuple(draw(st.lists(st.just("a dog") | WORD, max_size=2))),
        alternatives=tuple(draw(st.lists(st.just("The car is blue.") | WORD, max_size=2))),
    )


def tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def stands(phrase: str, text: str) -> bool:
    part, whole = tokens(phrase), tokens(text)
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


@settings(max_examples=150, deadline=None)
@given(
    sample=samples(), name=st.sampled_from(sorted(registered())), severity=st.sampled_from([1, 5]), seed=st.integers(0)
)
def test_any_text_is_reworded_or_refused_with_a_reason(sample: Sample, name: str, severity: int, seed: int) -> None:
    condition = Condition("text", name, severity)
    first = reword(sample, condition, seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    assert reword(sample, condition, seed) == first
    if first.reason:
        return
    assert first.text != sample.question
    if name.startswith("distractor_"):
        assert sample.question in first.text
        return
    if name == "paraphrase_human":
        assert first.text == sample.rephrasings[severity - 1]
        return
    for phrase in sample.protected:
        allowed = [phrase]
        if name == "paraphrase_synonym":
            allowed += [new for old, new in sample.synonyms if stands(phrase, old)]
        assert any(stands(one, first.text) for one in allowed)
    old, new = Counter(tokens(sample.question)), Counter(tokens(first.text))
    for word in ("yes", "no", "not"):
        assert old[word] >= new[word]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_pieces_joined_again_are_the_text(text: str) -> None:
    assert join(pieces(text)) == text


@pytest.mark.parametrize("name", [name for name in registered() if name.startswith("typo_")])
@pytest.mark.parametrize(
    "question", ["Is there a traffic_light\nin the large picture?", "Is there\na traffic-light here?"]
)
def test_typos_add_no_space_beside_underscores_and_newlines(name: str, question: str) -> None:
    sample = Sample("s", "i", "existence", question, "yes", protected=("traffic light",))
    for seed in range(10):
        result = reword(sample, Condition("text", name, 3), seed)
        assert result.reason == ""
        assert re.search(r"traffic[_-]light", result.text)
        assert "\n " not in result.text
        assert " \n" not in result.text


@pytest.mark.parametrize("name", registered())
@pytest.mark.parametrize("question", ["", " \n"])
def test_an_empty_question_is_said_so(name: str, question: str) -> None:
    result = reword(Sample("s", "i", "existence", question, "yes"), Condition("text", name, 1), 0)
    assert (result.text, result.reason) == (question, "not applicable: the question is empty")
