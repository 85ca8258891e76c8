"""Expected values are what clips/pattern (d25511f) returns: right or wrong, CHAIR's numbers rest on them."""

import pytest

from pruneproof.mentions.singular import singular


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *[("dogs", "dog"), ("buses", "bus"), ("benches", "bench"), ("dishes", "dish"), ("boxes", "box")],
        *[("puppies", "puppy"), ("knives", "knife"), ("wolves", "wolf"), ("mice", "mouse"), ("potatoes", "potato")],
        *[("people", "person"), ("women", "woman"), ("children", "child"), ("teeth", "tooth"), ("oxen", "ox")],
        *[("sheep", "sheep"), ("scissors", "scissors"), ("luggage", "luggage"), ("skis", "ski"), ("dog", "dog")],
        *[("mothers-in-law", "mother-in-law"), ("dogs'", "dog's"), ("hot-dogs", "hot-dog"), ("", ""), ("'", "'s")],
        # mistakes that the official score inherits
        *[("bus", "bu"), ("glass", "glas"), ("grass", "gras"), ("tennis", "tenni"), ("sports", "sport")],
        *[("slice", "slouse"), ("police", "polouse"), ("four", "fmy"), ("hour", "hmy"), ("spaghetti", "spaghettus")],
        *[("pasta", "pastum"), ("cookies", "cookies"), ("cookie", "cookie"), ("ears", "ears"), ("shelves", "shelve")],
        *[("analyses", "analysis"), ("reanalyses", "reanalyasis"), ("databases", "databasis"), ("vases", "vase")],
    ],
)
def test_singular_as_pattern_forms_it(word: str, expected: str) -> None:
    assert singular(word) == expected
