import pytest

from pruneproof.scoring.parsing import answer_type, parse
from pruneproof.scoring.scorers import Reading


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        ("yes", "yes_no"),
        ("no", "yes_no"),
        ("grey", "colour"),
        ("3", "count"),
        ("three", "count"),
        ("above", "relation"),
        ("on top of", "relation"),
        ("2", "count"),
        ("tennis racket", "phrase"),
    ],
)
def test_answer_type_follows_the_truth(truth: str, expected: str) -> None:
    assert answer_type(truth) == expected


@pytest.mark.parametrize(
    ("text", "how", "prediction", "parseable"),
    [
        ("3", "count", "3", True),
        ("Three.", "count", "3", True),
        ("There are three dogs", "count", "3", True),
        ("two or three", "count", "two or three", False),
        ("many", "count", "many", False),
        ("13", "count", "13", True),
        ("Gray", "colour", "grey", True),
        ("It is red, bright red!", "colour", "red", True),
        ("red and blue", "colour", "red and blue", False),
        ("reddish", "colour", "reddish", False),
        ("to the left of the tree", "relation", "left", True),
        ("On top of it", "relation", "above", True),
        ("underneath", "relation", "below", True),
        ("left or right", "relation", "left or right", False),
        ("YES!", "yes_no", "yes", True),
        ("yes and no", "yes_no", "yes and no", False),
        ("There is not", "yes_no", "there is not", False),
        ("The Tennis Racket.", "phrase", "tennis racket", True),
        ("", "phrase", "", False),
        ("", "count", "", False),
    ],
)
def test_parse(text: str, how: str, prediction: str, parseable: bool) -> None:
    assert parse(text, how) == Reading(prediction, parseable)  # type: ignore[arg-type]
