"""The five doors at which a method can act, and what it is given and gives back at each.

To add a method, write one module `pruneproof/pruning/<name>.py` with

- `Settings`, a frozen pydantic model of its options (`settings.Frozen`, a docstring under each field), and
- `build(settings) -> Method`, which gives a frozen dataclass derived from the class of its door.

That file says everything about the method: how figures call it (`title`), which kind it is (`kind`), how many tokens it
leaves (`budget`), what it needs to see (`signals`), and, in its docstring, which published code it follows and which
part of that code it leaves out. Nothing else has to change but params.yaml. Import torch inside functions only, so that
options can be validated, and figures labelled, without it.

A picture passes the doors in this order:

| door | derive from | given | gives back |
|---|---|---|---|
| `input` | `Resizes` | patches on a side of the square that the tower reads | patches on a side of a smaller one |
| `tower` | `Reduces` | a layer of the vision tower, after its attention | `Kept`, or None for all patches |
| `before_connector` | `Selects` | the tower's patches, and the questions | a `Kept` for each question, or one for all |
| `after_connector` | `Selects` | what the connector makes of them, and the questions | the same |
| `language` | `Narrows` | a layer of the language model, for one prompt | `Kept`, or None for all visual tokens |

`Kept` says which tokens go on, in which order, and how they are mixed of those given: `Kept(index)` for a plain
selection, `Kept(index, weights)` where tokens are merged. Whoever holds the door applies it to the states, and keeps
count of where every token comes from; a method never changes what it is given. A method that needs a random number
takes it from the `rng` that it is given, which depends on the study's seed and the picture alone. It cannot tell, and
need not, whether the model reads the very picture that it looks at: with `rank_from: clean`, an option of every method,
it is shown the clean picture where the model reads the corrupted one.

A whole method at the door before the connector, as an example; `Frozen` and `Share` are in `pruneproof.settings`,
`kept_count` and `top_k` in `pruneproof.pruning`, the rest is here:

    class Settings(Frozen):
        keep: Share

    @dataclass(frozen=True, slots=True)
    class FasterVlm(Selects):
        settings: Settings
        title = "FasterVLM"
        kind = "attention"
        door = "before_connector"
        signals = Signals(cls_attention=(-2,))

        def budget(self, count: int, layers: int) -> tuple[int, ...]:
            return (kept_count(self.settings.keep, count),) * layers

        def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
            kept = kept_count(self.settings.keep, tokens.count)
            return [Kept(top_k(tokens.cls_attention(-2), kept))]

    def build(settings: Settings) -> FasterVlm:
        return FasterVlm(settings)

Layers are numbered as a Python list: 0 is the first, -1 the last.
"""

from __future__ import annotations

from pruneproof.pruning.protocol.doors import (
    Door,
    Kind,
    Method,
    Narrows,
    Reduces,
    Resizes,
    Selects,
    encodes_itself,
)
from pruneproof.pruning.protocol.kept import Kept
from pruneproof.pruning.protocol.signals import Signals, TextTowerName
from pruneproof.pruning.protocol.views import LanguageLayer, Texts, TowerLayer, VisualTokens

__all__ = [
    "Door",
    "Kept",
    "Kind",
    "LanguageLayer",
    "Method",
    "Narrows",
    "Reduces",
    "Resizes",
    "Selects",
    "Signals",
    "TextTowerName",
    "Texts",
    "TowerLayer",
    "VisualTokens",
    "encodes_itself",
]
