"""The CLIP text tower that matches a vision tower, read by open_clip: published names and local folders alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

_ROWS = 32
"""Most texts of one forward."""


@dataclass(frozen=True, slots=True)
class TextTower:
    """The text half of an open_clip model."""

    model: Any
    tokenizer: Any
    device: str
    _texts: dict[tuple[str, ...], Tensor] = field(default_factory=dict)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """[T, E] unit-length text embeddings; the same texts together are computed once.

        They are remembered together, not one by one, because the last bits of a product differ with the number of
        rows, and a bit decides between two patches of nearly the same score: what was asked before must not matter.
        """
        together = tuple(texts)
        if together not in self._texts:
            parts = [together[start : start + _ROWS] for start in range(0, len(together), _ROWS)]
            embedded = [self.model.encode_text(self.tokenizer(list(p)).to(self.device), normalize=True) for p in parts]
            self._texts[together] = torch.cat(embedded)
        return self._texts[together]

    def forget(self) -> None:
        """Drop remembered embeddings."""
        self._texts.clear()


@dataclass(frozen=True, slots=True)
class ClipSpace:
    """Takes patch features and questions into one space."""

    visual: Any
    """The image half of the CLIP pair, which gives the final norm and the projection."""
    matched: TextTower
    """The text half of the same pair."""
    unmatched: TextTower | None = None
    """A text tower of another pair, for the method that asks what ATP's score is worth without the matching one."""

    def embed(self, texts: Sequence[str], matched: bool = True) -> Tensor:
        """[T, E] unit-length text embeddings.

        Raises:
            PruneProofError: if an unmatched tower is asked for and there is none.
        """
        tower = self.matched if matched else self.unmatched
        if tower is None:
            raise PruneProofError(
                "a method asks for `text_tower: unmatched`, but the backbone names no `unmatched_text_tower`: add it"
            )
        return tower.embed(texts)

    def forget(self) -> None:
        """Drop remembered embeddings."""
        for tower in (self.matched, self.unmatched):
            if tower is not None:
                tower.forget()

    @torch.inference_mode()
    def project(self, patches: Tensor) -> Tensor:
        """[N, D] patches of the last layer to [N, E] unit-length embeddings, by CLIP's own norm and projection."""
        visual = self.visual
        projected = visual.ln_post(patches.to(visual.proj.dtype)) @ visual.proj
        return torch.nn.functional.normalize(projected, dim=-1)


def load_clip_space(settings: BackboneSettings, root: Path, device: str) -> ClipSpace:
    """Read the CLIP pair of a backbone.

    Raises:
        PruneProofError: if it is neither a local folder nor a name that open_clip knows, or cannot be read.
    """
    local = root / settings.text_tower
    name = settings.text_tower
    if local.is_dir():
        name = f"local-dir:{local.resolve()}"
    elif name not in open_clip.list_models():
        raise PruneProofError(
            f"text_tower {settings.text_tower!r} is neither a folder ({local}) nor a model that open_clip knows: "
            "`open_clip.list_models()` names them"
        )
    try:
        model = open_clip.create_model(
            name, pretrained=settings.text_tower_pretrained, require_pretrained=True, device=device
        )
        tokenizer = open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0]
        raise PruneProofError(
            f"text_tower {settings.text_tower!r} cannot be read ({first}): restore its files"
        ) from error
    model = model.eval().requires_grad_(False)
    return ClipSpace(model.visual, TextTower(model, tokenizer, device))
