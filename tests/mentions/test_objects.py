"""Expected values are worked out by hand from `utils/chair.py` (LisaAnne/Hallucination, 6e4d33c)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.errors import PruneProofError
from pruneproof.mentions.objects import in_picture, lexicon, mentioned

SYNONYMS = """person, man, woman, baby, passenger
motorcycle,  motor bike, motor cycle, scooter
bus, minibus
train, locomotive
traffic light, stop light
elephant
tie, bow tie
wine glass
tennis racket, racket
sports ball, ball
hot dog
dog, puppy
cell phone, phone, iPhone
oven, stove top oven, stove
chair, seat
toilet
plate
bison, buffalo 
"""
KNOWN = lexicon(SYNONYMS)


def test_words_belong_to_the_first_of_their_line() -> None:
    assert KNOWN["puppy"] == "dog"
    assert KNOWN["bison"] == KNOWN["buffalo"] == "bison"


def test_a_second_blank_belongs_to_the_word() -> None:
    assert KNOWN[" motor bike"] == "motorcycle"
    assert "motor bike" not in KNOWN


def test_a_word_of_two_lines_belongs_to_the_later_one() -> None:
    assert lexicon("sheep, ram\ngoat, ram\n\n")["ram"] == "goat"


def test_a_file_without_classes_is_refused() -> None:
    with pytest.raises(PruneProofError, match="no class in the file"):
        lexicon("\n\n")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog and two puppies.", ["dog", "dog"]),
        ("Dogs. DOGS! dogs", ["dog"] * 3),
        ("the man's dog's tail", ["person", "dog"]),
        ("A hot dog", ["hot dog"]),
        ("hot, dog", ["dog"]),
        ("A baby elephant and an adult dog beside a baby", ["elephant", "dog", "person"]),
        ("A passenger train, a passenger", ["train", "person"]),
        ("A man in a bow tie", ["person", "tie"]),
        ("two wine glasses and a wine glass", ["wine glass", "wine glass"]),
        ("The toilet seat is up", ["toilet"]),
        ("The seat of the toilet, a seat", ["toilet"]),
        ("A seat and a chair", ["chair", "chair"]),
        ("a home plate, a plate, a train track", ["plate"]),
        ("three dogs.\nA train. a 'dog' (puppy), \"man\"", ["dog", "train", "dog", "dog", "person"]),
        ("tennis rackets and sports balls", ["tennis racket", "sports ball"]),
        ("stove top oven", ["oven", "oven"]),
        # What the official code does not find.
        ("A motor bike, a motor cycle", ["motorcycle"]),
        ("An iPhone", []),
        ("A bus and two buses", ["bus"]),
        ("traffic-light", []),
        ("dog.Train", []),
        ("", []),
    ],
)
def test_what_is_mentioned(caption: str, expected: list[str]) -> None:
    assert mentioned(caption, KNOWN) == expected


def test_a_picture_holds_what_is_segmented_and_what_people_mention() -> None:
    present = in_picture(["dog", "tie"], ["A woman with a puppy", "a baby elephant"], KNOWN)
    assert present == {"dog", "tie", "person", "elephant"}


def test_a_category_that_the_file_lacks_is_refused() -> None:
    with pytest.raises(PruneProofError, match="category 'kite' is not in the file"):
        in_picture(["dog", "kite"], [], KNOWN)


@given(st.lists(st.sampled_from(["dog", "puppies", "racket", "elephants", "hot dogs", "minibuses"]), max_size=6))
def test_words_kept_apart_are_all_found_whatever_their_case(words: list[str]) -> None:
    found = mentioned(" and ".join(words), KNOWN)
    assert found == [name for word in words for name in mentioned(word, KNOWN)]
    assert len(found) == len(words)
    assert mentioned(" and ".join(words).upper(), KNOWN) == found
