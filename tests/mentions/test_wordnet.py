import pytest

from pruneproof.errors import PruneProofError
from pruneproof.mentions import wordnet
from pruneproof.mentions.objects import lexicon, mentioned

DATA = """  1 This software and database is being provided to you  
00000001 05 n 02 dog 0 domestic_dog 0 003 @ 00000009 n 0000 ~ 00000002 n 0000 ~i 00000003 n 0000 | a | dog
00000002 05 n 03 Puppy 0 sausage 0 canine 0 001 @ 00000001 n 0000 | a young dog  
00000003 18 n 01 Rex 0 001 @i 00000001 n 0000 | one dog  
00000004 13 n 02 hotdog 0 hot_dog 0 001 ~ 00000005 n 0000 | food  
00000005 13 n 01 sausage 0 001 @ 00000004 n 0000 | meat  
00000006 05 n 01 hound 0 001 @ 00000001 n 0000 | an apple of no tree  
"""
INDEX = """  1 This software and database is being provided to you  
dog n 1 2 @ ~ 1 1 00000001  
domestic_dog n 1 1 @ 1 0 00000001  
puppy n 1 1 @ 1 0 00000002  
rex n 1 1 @ 1 0 00000003  
hotdog n 2 1 ~ 2 0 00000003 00000004  
hot_dog n 1 1 ~ 1 0 00000004  
canine n 1 1 @ 1 0 00000002  
sausage n 2 1 @ 2 0 00000005 00000002  
"""
ADJECTIVES = """  1 This software and database is being provided to you  
canine a 1 1 \\ 1 0 00000007  
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> wordnet.Dictionary:
    monkeypatch.setattr(wordnet, "SENSES", {"dog": ("dog.1",), "hot dog": ("hotdog.2",), "stop sign": ()})
    return wordnet.read(INDEX.splitlines(), DATA.splitlines(), ADJECTIVES.splitlines())


def test_the_dictionary_is_read_without_its_licence_and_instances(small: wordnet.Dictionary) -> None:
    assert small.senses["hotdog"] == ("00000003", "00000004")
    assert small.nouns["00000001"] == ("dog", "domestic_dog")
    assert small.under["00000001"] == ("00000002",)


def test_nouns_belong_to_the_category_of_their_most_frequent_meaning(small: wordnet.Dictionary) -> None:
    # `sausage` means the meat first; `hotdog` a dog of that name, but is the category's own noun; `canine` is an
    # adjective, too. Of two words the official code merges few, so that it never finds `domestic dog`.
    assert wordnet.synonyms(small) == "dog, puppy\nhot dog, hotdog, sausage\nstop sign\n"


def test_captions_are_read_with_it(small: wordnet.Dictionary) -> None:
    assert mentioned("Puppies eat sausages at a stop sign", lexicon(wordnet.synonyms(small))) == [
        "dog",
        "hot dog",
        "stop sign",
    ]


def test_another_dictionary_is_refused() -> None:
    with pytest.raises(PruneProofError, match="'person' has no sense 1; use the dictionary of WordNet"):
        wordnet.synonyms(wordnet.read([], [], []))


def test_there_are_80_categories() -> None:
    assert len(wordnet.SENSES) == 80
