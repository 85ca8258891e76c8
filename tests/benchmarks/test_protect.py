"""The words that carry an answer, on questions that people wrote (VQAv2's validation set) and on those of POPE."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.benchmarks._protect import fill_protected, protected
from pruneproof.records import Sample
from pruneproof.wording import contains, words


@pytest.mark.parametrize(
    ("question", "carrying"),
    [
        ("Is there a snowboard in the image?", "snowboard"),
        ("Is there a dining table in the image?", "dining table"),
        ("Is the desk cluttered?", "desk cluttered"),
        ("Are the windows big?", "windows big"),
        ("Are the lights on in this room?", "lights on in room"),
        ("What is the man doing?", "man doing"),
        ("How many pictures on the wall?", "many pictures on wall"),
        ("Where was the picture taken of the man?", "picture taken man"),
        ("How many people can you see in the picture?", "many people"),
        ("Do you see a body of water in the picture?", "body water"),
        ("Is there a drainage in the pic?", "drainage"),
        ("Is this photo color?", "photo color"),
        ("Is the man's tie purple?", "man's tie purple"),
        ("Is the man\u2019s tie purple?", "man\u2019s tie purple"),
        ("What kind of vehicle is the RV pulling on the bottom picture?", "vehicle RV pulling on bottom picture"),
        ("Are all three cars facing the same direction?", "all three cars facing same direction"),
        ("Is this room decorated for the 1970s?", "room decorated 1970s"),
        ("Could this be a multi-purpose room?", "multi purpose room"),
        ("What does the truck on the left sell?", "truck on left sell"),
        ("Is there no tree behind the taller building?", "no tree behind taller building"),
        ("Isn't it raining?", "Isn't raining"),
        ("Can you see the can on the table?", "can on table"),
        ("Is this in the US?", "in US"),
        ("Is she or he taller than the others?", "she he taller others"),
        ("What is this?", ""),
    ],
)
def test_every_word_is_protected_that_says_something(question, carrying):
    assert protected(question, []) == tuple(carrying.split())


def test_what_is_among_the_answers_is_protected_empty_or_not():
    assert protected("Is the cup here or there?", ["there"]) == ("cup", "there")
    assert protected("Is it a hot dog or a burger?", ["hot dog"]) == ("hot", "dog", "burger", "hot dog")
    assert protected("Is the cup here or there?", ["it is there", "yes"]) == ("cup",)


def test_names_of_objects_are_protected_as_a_whole():
    nouns = ["traffic_light", "can", "dog"]
    assert protected("Can you see the traffic light?", [], nouns) == ("Can", "traffic", "light", "traffic_light")


def test_each_is_named_once():
    assert protected("Is the Dog a dog or a DOG?", ["dog"]) == ("Dog",)


@given(st.text(), st.lists(st.text(max_size=6), max_size=3), st.lists(st.text(max_size=6), max_size=3))
def test_whatever_is_protected_occurs_in_the_question(question, answers, nouns):
    found = protected(question, answers, nouns)
    assert all(contains(question, entry) and words(entry) for entry in found)


def test_every_question_gets_its_words_and_is_counted_once():
    given = Sample("a", "i", "existence", "Is there a red car?", "yes", protected=("car",))
    bare = Sample("b", "i", "choice", "Is it the cup or the mug?", "cup", answers=("cup", "mug"))
    idle = Sample("c", "i", "other", "What is it?", "tea")
    caption = Sample("d", "i", "caption", "Describe the cup.", "", asks="caption")
    samples, counts = fill_protected([given, bare, replace(bare, sample_id="e"), idle, caption], ["can"])
    assert [sample.protected for sample in samples] == [("car",), ("cup", "mug"), ("cup", "mug"), (), ()]
    assert counts == {"by_benchmark": 1, "found": 1, "none": 1}
