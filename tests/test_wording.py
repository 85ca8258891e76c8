from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.wording import contains, words


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("Is the Letter Box here?", "letter box", True),
        ("A carpet.", "car", False),
        ("The car's door", "car", True),
        ("letterbox", "letter box", False),
        ("Is there a traffic_light?", "traffic light", True),
        ("Is there a traffic\nlight?", "traffic_light", True),
        ("A car-shaped cloud", "car", True),
        ("car_shaped", "car", True),
        ("Is it C++ or C?", "C++", True),
        ("Is it C or D?", "C++", False),
        ("a_b", "_", True),
        ("ab", "_", False),
        ("Ein STRASSENSCHILD", "schild", False),
    ],
)
def test_whole_words_are_found(text: str, phrase: str, found: bool) -> None:
    assert contains(text, phrase) is found


@given(st.lists(st.text("ab1\u00e9", min_size=1), min_size=1, max_size=4), st.lists(st.sampled_from(" -_"), min_size=4))
def test_what_separates_the_words_of_a_phrase_makes_no_difference(parts: list[str], separators: list[str]) -> None:
    written = parts[0] + "".join(a + b for a, b in zip(separators, parts[1:], strict=False))
    assert contains(f"x {written}? y", " ".join(parts))


def test_words_keep_apostrophes_and_drop_underscores() -> None:
    assert words("It isn\N{RIGHT SINGLE QUOTATION MARK}t 'Big'_red\n3!") == ("it", "isn't", "big", "red", "3")
