"""A list of synonyms for CHAIR out of WordNet, for those who lack the official file.

It is another list, so that scores on it do not compare with published ones; a result must say which was used. Each
of the 80 categories of COCO stands for one or a few senses of WordNet 3.0 and all that lie under them. Debian's package
`wordnet-base` has the dictionary (`index.noun`, `data.noun` and `index.adj` in `/usr/share/wordnet`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pruneproof.errors import PruneProofError
from pruneproof.mentions.objects import DOUBLE_WORDS

SENSES: dict[str, tuple[str, ...]] = {
    category: tuple(senses.split())
    for category, senses in (
        line.split(":")
        for line in """
person: person.1
bicycle: bicycle.1 bike.2
car: car.1
motorcycle: motorcycle.1
airplane: airplane.1 plane.1
bus: bus.1
train: train.1
truck: truck.1
boat: vessel.2
traffic light: traffic_light.1
fire hydrant: fireplug.1
stop sign:
parking meter: parking_meter.1
bench: bench.1
bird: bird.1
cat: cat.1
dog: dog.1
horse: horse.1
sheep: sheep.1
cow: cow.1 cattle.1
elephant: elephant.1
bear: bear.1
zebra: zebra.1
giraffe: giraffe.1
backpack: backpack.1
umbrella: umbrella.1
handbag: handbag.1
tie: tie.1
suitcase: suitcase.1 baggage.1
frisbee: frisbee.1
skis: ski.1
snowboard: snowboard.1
sports ball: ball.1
kite: kite.3
baseball bat: baseball_bat.1
baseball glove: baseball_glove.1
skateboard: skateboard.1
surfboard: surfboard.1
tennis racket: tennis_racket.1 racket.4
bottle: bottle.1
wine glass: wineglass.1
cup: cup.1
fork: fork.1
knife: knife.1
spoon: spoon.1
bowl: bowl.1
banana: banana.2
apple: apple.1
sandwich: sandwich.1
orange: orange.1
broccoli: broccoli.2
carrot: carrot.3
hot dog: hotdog.2
pizza: pizza.1
donut: doughnut.2
cake: cake.3
chair: chair.1
couch: sofa.1
potted plant: houseplant.1
bed: bed.1
dining table: table.2
toilet: toilet.2
tv: television_receiver.1 television.3
laptop: laptop.1
mouse: mouse.4
remote: remote_control.1
keyboard: keyboard.1
cell phone: cellular_telephone.1 telephone.1
microwave: microwave.2
oven: oven.1 stove.1
toaster: toaster.2
sink: sink.1
refrigerator: refrigerator.1
book: book.2
clock: clock.1
vase: vase.1
scissors: scissors.1
teddy bear: teddy.1
hair drier: hair_dryer.1
toothbrush: toothbrush.1
""".strip().splitlines()
    )
}
"""COCO's categories in their order -> a noun and the number of its sense, counted from 1."""


@dataclass(frozen=True, slots=True)
class Dictionary:
    """Nouns of WordNet."""

    senses: dict[str, tuple[str, ...]]
    """Noun -> its meanings, the most frequent first."""
    nouns: dict[str, tuple[str, ...]]
    """Meaning -> nouns that have it."""
    under: dict[str, tuple[str, ...]]
    """Meaning -> meanings one step narrower."""
    adjectives: frozenset[str]


def read(index: Iterable[str], data: Iterable[str], adjectives: Iterable[str]) -> Dictionary:
    """Read the dictionary in the format of `wndb(5WN)`.

    Args:
        index: lines of `index.noun`.
        data: lines of `data.noun`.
        adjectives: lines of `index.adj`.
    """
    senses = {}
    for line in index:
        if not line.startswith(" "):  # the licence
            fields = line.split()
            senses[fields[0]] = tuple(fields[-int(fields[2]) :])
    nouns, under = {}, {}
    for line in data:
        if not line.startswith(" "):
            fields = line.split(" | ")[0].split()
            several = int(fields[3], 16)
            pointers = fields[5 + 2 * several :]
            nouns[fields[0]] = tuple(fields[4 : 4 + 2 * several : 2])
            under[fields[0]] = tuple(
                pointers[place + 1] for place in range(0, 4 * int(fields[4 + 2 * several]), 4) if pointers[place] == "~"
            )
    return Dictionary(senses, nouns, under, frozenset(line.split(" ", 1)[0] for line in adjectives))


def synonyms(known: Dictionary) -> str:
    """The list in the official format, for `objects.lexicon`: one line a category, its name first.

    A noun is listed if its most frequent meaning lies under the category and it is no adjective as well: `white` may be
    a person. One that lies under two categories is listed with the narrower, the nouns of `SENSES` where they stand. Of
    two words only those are listed that the official code merges, because no others are ever found.

    Raises:
        PruneProofError: if the dictionary lacks a sense of `SENSES`.
    """
    nearest: dict[str, tuple[int, str]] = {}
    for category, senses in SENSES.items():
        depth = 0
        level = {_meaning(known, sense) for sense in senses}
        while level:
            for meaning in sorted(level):
                if depth < nearest.get(meaning, (depth + 1, ""))[0]:
                    nearest[meaning] = (depth, category)
            level = {narrower for meaning in level for narrower in known.under[meaning]}
            depth += 1
    listed: dict[str, dict[str, None]] = {}
    for category, senses in SENSES.items():
        nouns = [sense.rsplit(".", 1)[0].replace("_", " ") for sense in senses]
        listed[category] = dict.fromkeys((category, *(noun for noun in nouns if _findable(noun))))
    placed = {word for words in listed.values() for word in words}
    for meaning, (_, category) in sorted(nearest.items(), key=lambda item: (item[1], item[0])):
        for noun in known.nouns[meaning]:
            word = noun.lower().replace("_", " ")
            first = known.senses[noun.lower()][0] == meaning
            if first and _findable(word) and word not in placed and noun.lower() not in known.adjectives:
                listed[category][word] = None
    return "".join(f"{', '.join(words)}\n" for words in listed.values())


def _findable(word: str) -> bool:
    return " " not in word or word in DOUBLE_WORDS.values()


def _meaning(known: Dictionary, sense: str) -> str:
    noun, number = sense.rsplit(".", 1)
    meanings = known.senses.get(noun, ())
    if len(meanings) < int(number):
        raise PruneProofError(f"WordNet: {noun!r} has no sense {number}; use the dictionary of WordNet 3.0")
    return meanings[int(number) - 1]
