"""The aid of connectors with a fixed number of outputs: one output a class says whether it is there, and more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.composition import Scene
from pruneproof.benchmarks.scenes.vocabulary import COLOURS, NOUN_NAMES
from pruneproof.training.students._words import Words, cosines

_NONE = -100

CONNECTOR_AIDS = (
    "Throw-away heads on the connector's first 24 outputs, output k for class k: whether it is there, its colour, its "
    "number; and a loss that draws the output to the embedding of the class's name. Off after {aligned} steps.",
    "Short forms such as `colour car`: alone for the first {short_only} steps of language training, faded out by step "
    "{short_until}.",
    "`count cars`, answered at the noun, as a curriculum for counting, in all of the language phase.",
    "`Which side is the car on?` as a curriculum for relations, likewise; the benchmark never asks it.",
)
"""What the cards of families with such a connector say of their training; see `About.aids`."""


class SlotAid(nn.Module):
    """Throw-away heads on the first 24 connector outputs, output k for class k, whether the class is there or not.

    Presence, colour (of a class that occurs once) and number are read by one linear head for all slots, so that the
    language model finds each of them in one direction; and each slot is drawn to the embedding of its class's name.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.presence = nn.Linear(width, 1)
        self.colours = nn.Linear(width, len(COLOURS))
        self.counts = nn.Linear(width, facts.MOST_COUNTED)

    def loss(
        self, visual: Tensor, scenes: Sequence[Scene], words: Words, form: int, embed: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Sum of the heads' losses.

        Args:
            visual: [B, V, W] connector outputs, V at least 24.
            scenes: B scenes.
            words: names of the classes.
            form: 0 draws slots to singulars, 1 to plurals.
            embed: token ids to embeddings of the language model.
        """
        slots = visual[:, : len(NOUN_NAMES)]
        present, colours, counts = (truth.to(visual.device) for truth in _truth(scenes))
        own = torch.arange(len(NOUN_NAMES), device=visual.device).expand(len(scenes), -1)
        entropy = nn.functional.cross_entropy
        there = nn.functional.binary_cross_entropy_with_logits(self.presence(slots).squeeze(-1), present)
        colour = entropy(self.colours(slots).flatten(0, 1), colours.flatten(), ignore_index=_NONE)
        count = entropy(self.counts(slots).flatten(0, 1), counts.flatten(), ignore_index=_NONE)
        named = entropy(cosines(slots, words.nouns[form], embed).flatten(0, 1), own.flatten())
        return 3.0 * there + colour.nan_to_num() + 0.5 * count.nan_to_num() + named


def _truth(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor, Tensor]:
    """Presence [B, 24] as float; colour and number minus one [B, 24], -100 where there is none to learn."""
    names = list(COLOURS)
    present = torch.zeros(len(scenes), len(NOUN_NAMES))
    colours = torch.full((len(scenes), len(NOUN_NAMES)), _NONE)
    counts = colours.clone()
    for row, scene in enumerate(scenes):
        singles = facts.single(scene)
        for noun, number in facts.counts(scene).items():
            column = NOUN_NAMES.index(noun)
            present[row, column] = 1.0
            if noun in singles:
                colours[row, column] = names.index(singles[noun].colour)
            if number <= facts.MOST_COUNTED:
                counts[row, column] = number - 1
    return present, colours, counts
