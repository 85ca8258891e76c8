"""How each kind of question is worded: ten phrasings per kind with shared words, two of them kept out of training."""

from __future__ import annotations

from dataclasses import dataclass

HELD_OUT = 2
"""The last phrasings of every list are never used in training."""

PHRASINGS: dict[str, tuple[str, ...]] = {
    "existence/singular": (
        "Is there {a_noun} in the image?",
        "Is {a_noun} visible in the picture?",
        "Can you see {a_noun} here?",
        "Does the image contain {a_noun}?",
        "Do you see {a_noun} in this scene?",
        "Is there any {noun} in the scene?",
        "Does {a_noun} appear in the picture?",
        "Can {a_noun} be seen in the image?",
        "Does this picture show {a_noun}?",
        "Is any {noun} present here?",
    ),
    "existence/plural": (
        "Are there any {nouns} in the image?",
        "Are {nouns} visible in the picture?",
        "Can you see any {nouns} here?",
        "Does the image contain {nouns}?",
        "Do you see {nouns} in this scene?",
        "Are any {nouns} shown here?",
        "Do {nouns} appear in the picture?",
        "Can {nouns} be seen in the image?",
        "Does this picture show any {nouns}?",
        "Are {nouns} present in the scene?",
    ),
    "colour": (
        "What colour is the {noun}?",
        "What is the colour of the {noun}?",
        "Which colour does the {noun} have?",
        "Tell me the colour of the {noun} in the image.",
        "The {noun} in the picture is what colour?",
        "In what colour is the {noun} shown?",
        "What colour can you see on the {noun}?",
        "Name the colour of the {noun} here.",
        "Which colour is the {noun} in this scene?",
        "What colour does the {noun} in the image have?",
    ),
    "count": (
        "How many {nouns} are there?",
        "How many {nouns} are in the image?",
        "What is the number of {nouns} in the picture?",
        "How many {nouns} can you see?",
        "Count the {nouns} in the scene.",
        "Tell me how many {nouns} are visible.",
        "How many {nouns} does the image contain?",
        "What number of {nouns} do you see here?",
        "How many {nouns} appear in this scene?",
        "Tell me the number of {nouns} in the image.",
    ),
    "relation/holds": (
        "Is the {noun} {side} the {other}?",
        "Is the {noun} in the image {side} the {other}?",
        "Can you see the {noun} {side} the {other}?",
        "Does the {noun} appear {side} the {other}?",
        "Is the {noun} shown {side} the {other} in the picture?",
        "In this scene, is the {noun} {side} the {other}?",
        "Do you see the {noun} {side} the {other}?",
        "Is it true that the {noun} is {side} the {other}?",
        "Is the {noun} in the picture {side} the {other}?",
        "Does the image show the {noun} {side} the {other}?",
    ),
    "relation/choice": (
        "Is the {noun} {options} the {other}?",
        "Which is it: is the {noun} {options} the {other}?",
        "In the image, is the {noun} {options} the {other}?",
        "Can you tell me if the {noun} is {options} the {other}?",
        "Tell me: is the {noun} {options} the {other}?",
        "Is the {noun} in the picture {options} the {other}?",
        "Does the {noun} appear {options} the {other}?",
        "Where is the {noun}: {options} the {other}?",
        "In this scene, is the {noun} {options} the {other}?",
        "Is the {noun} shown {options} the {other}?",
    ),
    "compositional": (
        "Are the {noun} and the {other} the same colour?",
        "Do the {noun} and the {other} have the same colour?",
        "Is the colour of the {noun} the same as the colour of the {other}?",
        "Does the {noun} have the same colour as the {other}?",
        "Is the {noun} the same colour as the {other}?",
        "Do you see the same colour on the {noun} and the {other}?",
        "Are the {noun} and the {other} in the image the same colour?",
        "Can you see the {noun} and the {other} in the same colour?",
        "In this scene, do the {noun} and the {other} have the same colour?",
        "Is the {noun} in the picture the same colour as the {other}?",
    ),
    "caption": (
        "Describe the image.",
        "What is in the image?",
        "Describe what you see in the picture.",
        "Tell me what is in the scene.",
        "What can you see here?",
        "What does the image contain?",
        "Name what is in the picture.",
        "Describe this scene.",
        "What does this picture show?",
        "Tell me what you see in the image.",
    ),
}

SIDES: dict[str, str] = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
OPTIONS: dict[str, str] = {"horizontal": "left or right of", "vertical": "above or below"}


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One template and whether training may use it."""

    template: str
    held_out: bool


def phrasings(form: str) -> tuple[Phrasing, ...]:
    """All phrasings of a form such as `existence/plural`, the held-out ones last."""
    templates = PHRASINGS[form]
    first_held_out = len(templates) - HELD_OUT
    return tuple(Phrasing(template, index >= first_held_out) for index, template in enumerate(templates))
