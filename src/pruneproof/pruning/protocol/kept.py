"""What a method gives back: which tokens go on, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The tokens that go on, out of N that were given."""

    index: Tensor
    """int64 [K] the token that each of them is, or was merged around; -1 for one that stands for no single token, such
    as the mean of all dropped ones. They go on in this order: ascending where the method keeps the picture's order."""
    weights: Tensor | None = None
    """[K, N] what each is made of: its state is this row times the states given. The rows need not add up to one
    (VisionZip's contextual tokens add up to two). None if nothing is merged: each is the token at `index`."""
    cls: bool = False
    """Whether CLS goes on as one more token, before them; where the connector reads it anyway, and where
    `VisualTokens.cls` is empty, this has no effect. Before the connector only."""

    @property
    def count(self) -> int:
        """K, CLS not counted."""
        return len(self.index)

    def to(self, device: str) -> Kept:
        """The same on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        return replace(self, index=self.index.to(device), weights=weights)

    def apply(self, states: Tensor) -> Tensor:
        """[K, D] the kept tokens' states.

        Args:
            states: [N, D] of those given.
        """
        return states[self.index] if self.weights is None else self.weights.to(states.dtype) @ states

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two selections from the same tokens exactly if they keep the same."""
        mixed = None if self.weights is None else self.weights.cpu().numpy().tobytes()
        return (tuple(self.index.tolist()), mixed, self.cls)
