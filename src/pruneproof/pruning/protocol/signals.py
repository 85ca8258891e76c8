"""What a method looks at besides the tokens themselves."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

TextTowerName: TypeAlias = Literal["matched", "control"]
"""The text half of the vision tower's own CLIP pair, or the backbone's `control_text_tower`."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What a method looks at besides the tokens themselves.

    It is said in advance, because encoded pictures are kept without their tower, and because a family whose tokens have
    no such signal must refuse the method before any work is done.
    """

    cls_attention: tuple[int, ...] = ()
    """Layers of the vision tower whose `VisualTokens.cls_attention` it looks at."""
    joined_attention: tuple[int, ...] = ()
    """Of `VisualTokens.joined_attention`."""
    received_attention: tuple[int, ...] = ()
    """Of `VisualTokens.received_attention`."""
    keys: tuple[int, ...] = ()
    """Of `VisualTokens.keys`."""
    aligned: tuple[int, ...] = ()
    """Of `VisualTokens.aligned`."""
    projected: tuple[int, ...] = ()
    """Of `VisualTokens.projected`."""
    text_tower: TextTowerName = "matched"
    """Which text tower makes `Texts.in_clip` and `Texts.projected`."""
    patches: bool = False
    """Whether it looks at `VisualTokens.places` or `tower_features`."""
    weights: str = ""
    """A safetensors file that it brings, relative to the project's root (`LanguageLayer.weights`); empty for none."""

    @property
    def of_patches(self) -> bool:
        """Whether it needs tokens that are patches, and not what a Q-Former or a resampler makes of them."""
        return self.patches or bool(self.layers)

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers of the vision tower that are looked into, ascending."""
        return tuple(sorted({layer for layers in self.by_name().values() for layer in layers}))

    def __or__(self, other: Signals) -> Signals:
        """What either looks at in the vision tower, layers ascending; the rest is the first one's."""
        theirs = other.by_name()
        both: dict[str, Any] = {
            name: tuple(sorted({*layers, *theirs[name]})) for name, layers in self.by_name().items()
        }
        return replace(self, patches=self.patches or other.patches, **both)

    def by_name(self) -> dict[str, tuple[int, ...]]:
        """The layers of each signal, under the name of the function of `VisualTokens` that gives it."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), tuple)}
