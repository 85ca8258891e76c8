"""Questions of every kind, with all that the text perturbations draw on."""

from __future__ import annotations

import pytest

from pruneproof.records import Sample

EXISTENCE = Sample(
    sample_id="scene_00000/existence/random/0",
    image_id="scene_00000",
    kind="existence",
    question="Is there an airplane in the image?",
    answer="yes",
    split="random",
    detail="singular",
    target="airplane",
    protected=("airplane",),
    synonyms=(("airplane", "plane"), ("image", "picture")),
    rephrasings=("Is any airplane present here?", "Does this picture show an airplane?"),
    absent=("a dog", "an anchor"),
    alternatives=("There is no airplane.",),
)
COLOUR = Sample(
    sample_id="scene_00000/colour/0",
    image_id="scene_00000",
    kind="colour",
    question="Tell me the colour of the tall umbrella in the image.",
    answer="red",
    target="umbrella",
    protected=("colour", "umbrella"),
    synonyms=(("umbrella", "parasol"),),
    rephrasings=("What colour does the umbrella have?",),
    absent=("a dog",),
    alternatives=("The umbrella is blue.", "The umbrella is green."),
)
COUNT = Sample(
    sample_id="scene_00001/count/0",
    image_id="scene_00001",
    kind="count",
    question="How many buses are visible in this picture?",
    answer="3",
    target="bus",
    protected=("many", "buses"),
    synonyms=(("buses", "autobuses"), ("picture", "photo")),
    rephrasings=("How many buses can you count?",),
    absent=("a kite",),
    alternatives=("There are 4 buses.", "There are two buses."),
)
RELATION = Sample(
    sample_id="scene_00001/relation/0",
    image_id="scene_00001",
    kind="relation",
    question="Is the letter box shown left or right of the tree here?",
    answer="left",
    detail="horizontal",
    target="letter box",
    protected=("letter box", "left", "right", "tree"),
    synonyms=(("letter box", "mailbox"),),
    rephrasings=("Which side of the tree is the letter box on, left or right?",),
    absent=("a kite",),
    alternatives=("The letter box is right of the tree.",),
)
CAPTION = Sample(
    sample_id="scene_00002/caption/0",
    image_id="scene_00002",
    kind="caption",
    question="Describe what you see in the picture.",
    answer="a red car and two trees",
    rephrasings=("What does this picture show?",),
    absent=("a kite",),
    asks="caption",
)


@pytest.fixture
def samples() -> tuple[Sample, ...]:
    """One sample of each kind."""
    return EXISTENCE, COLOUR, COUNT, RELATION, CAPTION


@pytest.fixture
def existence() -> Sample:
    """`Is there an airplane in the image?`, truth yes."""
    return EXISTENCE


@pytest.fixture
def colour() -> Sample:
    """A question for a red umbrella."""
    return COLOUR


@pytest.fixture
def count() -> Sample:
    """A question for three buses."""
    return COUNT


@pytest.fixture
def relation() -> Sample:
    """A question with a protected phrase of two words."""
    return RELATION
