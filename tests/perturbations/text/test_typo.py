from __future__ import annotations

import os
import random
import string
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruneproof.perturbations.text import NotApplicable, _gate, _nlpaug
from pruneproof.perturbations.text._words import WORD, edit_distance
from pruneproof.perturbations.text.typo import PERTURBATIONS, words_to_change
from pruneproof.records import Sample

SEVERITIES = (1, 2, 3, 4, 5)
NAMES = sorted(PERTURBATIONS)
VOCABULARY = WORD.findall(
    "is Are there the a an of in visible picture image tell me how what Can you see scene tree cars umbrella left two "
    "3 not isn't T-shirt next to shown here appear which"
)


def asked(*chosen: str, protected: tuple[str, ...] = ()) -> Sample:
    return Sample("s", "i", "existence", f"{' '.join(chosen)}?", "yes", protected=protected)


@pytest.mark.parametrize(
    ("free", "changed"), [(0, (0, 0, 0, 0, 0)), (1, (1, 1, 1, 1, 1)), (4, (1, 2, 2, 3, 3)), (6, (1, 2, 3, 4, 5))]
)
def test_words_to_change(free, changed):
    assert tuple(words_to_change(free, severity) for severity in SEVERITIES) == changed


@given(st.integers(1, 60))
def test_severity_1_changes_a_word_and_severity_5_more_than_half_of_them(free):
    assert words_to_change(free, 1) >= 1
    assert 0.5 < words_to_change(free, 5) / free <= 1


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    severity=st.sampled_from(SEVERITIES),
    chosen=st.lists(st.sampled_from(VOCABULARY), min_size=3, max_size=12),
    protected=st.sets(st.sampled_from([word.lower() for word in VOCABULARY]), max_size=5),
    seed=st.integers(0, 2**32),
)
def test_held_words_survive_even_before_the_gate(name, severity, chosen, protected, seed):
    sample = asked(*chosen, protected=tuple(sorted(protected)))
    try:
        text = PERTURBATIONS[name](sample, severity, np.random.default_rng(seed))
    except NotApplicable:
        return  # nothing was drawn, so nothing was lost
    assert not Counter(_gate.held_words(sample)) - Counter(WORD.findall(text))
    assert text.endswith("?")


def reference(name: str, question: str, kept: list[str], count: int, seed: int) -> str:
    """The same request in nlpaug's own words, with its own tokenizer."""
    char, word = _nlpaug.modules()
    number = {"aug_word_min": count, "aug_word_max": count}
    build = {
        "typo_keyboard": lambda: char.KeyboardAug(
            min_char=2, include_special_char=False, include_numeric=False, include_upper_case=False,
            stopwords=kept, **number,
        ),
        "typo_ocr": lambda: char.OcrAug(min_char=2, aug_char_min=1, stopwords=kept, **number),
        "typo_swap": lambda: char.RandomCharAug(action="swap", min_char=2, stopwords=kept, **number),
        "typo_split": lambda: word.SplitAug(min_char=3, stopwords=kept, aug_min=count, aug_max=count),
    }  # fmt: skip
    random.seed(seed)
    np.random.seed(seed)
    return build[name]().augment(question)[0]


@pytest.mark.parametrize(
    ("name", "unable"),
    [
        ("typo_keyboard", []),
        ("typo_ocr", ["the", "in"]),
        ("typo_swap", []),
        ("typo_split", ["Is", "in"]),
    ],
)
@pytest.mark.parametrize("seed", range(6))
def test_texts_are_those_of_nlpaug(name, unable, seed):
    sample = asked("Is there some tall tree in the image", protected=("tree",))
    drawn = int(np.random.default_rng(seed).integers(2**32))
    for severity, count in zip(SEVERITIES, (2, 3, 4, 5, 6), strict=True):
        expected = reference(name, sample.question, ["tree", *unable], count, drawn)
        assert PERTURBATIONS[name](sample, severity, np.random.default_rng(seed)) == expected


def test_misspellings_come_from_the_list_of_that_very_word():
    path = Path(_nlpaug.spelling().dict_path)
    listed = defaultdict(set)
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *misspellings = line.split(" ")
        listed[word] |= set(misspellings)
    sample = asked("There", "is", "some", "picture", "with", "people")
    seen = set()
    for seed in range(60):
        text = PERTURBATIONS["typo_spelling"](sample, 5, np.random.default_rng(seed))
        pairs = zip(WORD.findall(sample.question), WORD.findall(text), strict=True)
        changed = [(old, new) for old, new in pairs if old != new]
        assert len(changed) == words_to_change(6, 5) == 5
        for old, new in changed:
            assert new in listed[old] or (old == "There" and new in {text.capitalize() for text in listed[old]})
            assert set(new) <= set(string.ascii_letters)
            seen.add(old)
    assert seen == set(WORD.findall(sample.question))


def test_neither_hash_seed_nor_history_changes_a_text_and_torch_is_not_loaded():
    sample = asked("Is there the same thing in this picture")
    here = [PERTURBATIONS["typo_spelling"](sample, 5, np.random.default_rng(seed)) for seed in range(8)]
    program = (
        "import sys, numpy as np\n"
        "from pruneproof.perturbations.text.typo import PERTURBATIONS\n"
        "from pruneproof.records import Sample\n"
        f"sample = Sample('s', 'i', 'existence', {sample.question!r}, 'yes')\n"
        "for seed in range(8): print(PERTURBATIONS['typo_spelling'](sample, 5, np.random.default_rng(seed)))\n"
        "print(sorted({'torch', 'transformers', 'sklearn', 'nltk'} & set(sys.modules)))\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*here, "[]"]


@pytest.mark.parametrize("name", NAMES)
def test_global_generators_are_left_as_they_were(name, colour):
    random.seed(3)
    np.random.seed(3)
    expected = random.Random(3).random(), np.random.RandomState(3).random()
    PERTURBATIONS[name](colour, 3, np.random.default_rng(0))
    assert (random.random(), np.random.random()) == expected


@pytest.mark.parametrize("name", NAMES)
def test_severity_tells_in_edit_distance(name, samples):
    def distance(severity: int) -> float:
        return mean(
            edit_distance(sample.question, PERTURBATIONS[name](sample, severity, np.random.default_rng(seed)))
            for sample in samples
            for seed in range(25)
        )

    distances = [distance(severity) for severity in SEVERITIES]
    for milder, stronger in pairwise(distances):
        assert stronger > milder - 0.1  # equal where all that can change has changed; 125 draws have some noise
    assert distances[0] > 0.9
    assert distances[-1] > 1.5 * distances[0]


def test_spacing_and_punctuation_stay():
    sample = asked("What's  in", "the", "(so-called)", "picture,", "then")
    assert _nlpaug.join(_nlpaug.pieces(sample.question)) == sample.question
    text = PERTURBATIONS["typo_swap"](sample, 5, np.random.default_rng(0))
    assert len(text) == len(sample.question)
    assert [c for c in text if not c.isalpha()] == [c for c in sample.question if not c.isalpha()]


def test_a_question_of_protected_words_only_is_said_so(existence):
    locked = replace(existence, question="Airplane?")
    for name in NAMES:
        with pytest.raises(NotApplicable, match="no word that this typo can change"):
            PERTURBATIONS[name](locked, 5, np.random.default_rng(0))
