import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.scoring.matching import mentions, surface_forms

VOCABULARY = {
    "light": ("lights",),
    "traffic light": ("traffic lights", "stoplight"),
    "dog": ("dogs", "hot dog stand dog"),
    "hot dog": ("hot dogs",),
}
FORMS = surface_forms(VOCABULARY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A traffic light and a light.", ["traffic light", "light"]),
        ("Traffic lights, lights!", ["traffic light", "light"]),
        ("a traffic-light", ["traffic light"]),
        ("two dogs eat a hot dog", ["dog", "hot dog"]),
        ("hot dog stand dog", ["dog"]),
        ("hot dog stand", ["hot dog"]),
        ("hot, dogged traffic", []),
        ("", []),
        ("dog dog", ["dog", "dog"]),
        ("the dog's tail", ["dog"]),
        ("the dog\u2019s tail and the dogs' bowls", ["dog", "dog"]),
        ("the traffic light's pole", ["traffic light"]),
    ],
)
def test_longest_form_wins_and_repeats_count(text: str, expected: list[str]) -> None:
    assert mentions(text, FORMS) == expected


def test_name_of_a_class_is_a_form_of_its_own() -> None:
    assert mentions("a kite", surface_forms({"kite": ()})) == ["kite"]


def test_form_of_two_classes_is_refused() -> None:
    with pytest.raises(PruneProofError, match=r"'boat' names both 'ship' and 'boat'"):
        surface_forms({"ship": ("boat",), "boat": ("Boat",)})


def test_form_without_a_word_is_refused() -> None:
    with pytest.raises(PruneProofError, match="holds no word"):
        surface_forms({"ship": ("--",)})


@given(st.lists(st.sampled_from([form for name, forms in VOCABULARY.items() for form in (name, *forms)]), max_size=8))
def test_forms_kept_apart_by_other_words_are_all_found(written: list[str]) -> None:
    classes = {form: name for name, forms in VOCABULARY.items() for form in (name, *forms)}
    assert mentions(" or ".join(written), FORMS) == [classes[form] for form in written]
