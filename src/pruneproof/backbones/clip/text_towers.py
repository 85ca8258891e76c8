"""The CLIP text tower that matches a vision tower, read by open_clip: published names and local folders alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from pruneproof.backbones.checkpoints.finite import require_finite
from pruneproof.backbones.checkpoints.remote_code import NO_REMOTE_CODE, never_asking, reason
from pruneproof.backbones.checkpoints.weights import require_tower
from pruneproof.backbones.clip.space_end import image_end
from pruneproof.errors import MethodError, PruneProofError
from pruneproof.pruning.protocol import TextTowerName
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
    def embed(self, texts: Sequence[str], unit: bool = True) -> Tensor:
        """[T, E] text embeddings, of unit length unless told otherwise; the same texts together are computed once.

        They are remembered together, not one by one, because the last bits of a product differ with the number of
        rows, and a bit decides between two patches of nearly the same score: what was asked before must not matter.
        """
        together = tuple(texts)
        if together not in self._texts:
            parts = [together[start : start + _ROWS] for start in range(0, len(together), _ROWS)]
            embedded = [self.model.encode_text(self.tokenizer(list(part)).to(self.device)) for part in parts]
            self._texts[together] = torch.cat(embedded)
        found = self._texts[together]
        return torch.nn.functional.normalize(found, dim=-1) if unit else found

    @property
    def dimension(self) -> int:
        """E of the embeddings."""
        return int(self.model.encode_text(self.tokenizer(["a"]).to(self.device)).shape[-1])

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
    control: TextTower | None = None
    """A text tower of another pair, for measuring what ATP's score is worth without the matching one."""
    depth: int | None = None
    """Layers of the image half that the family's vision tower has; None for all of them."""

    def embed(self, texts: Sequence[str], name: TextTowerName = "matched", unit: bool = True) -> Tensor:
        """[T, E] text embeddings, of unit length unless told otherwise.

        Raises:
            MethodError: if the control tower is asked for and there is none.
        """
        tower = self.matched if name == "matched" else self.control
        if tower is None:
            raise MethodError("asks for `text_tower: control`, but the backbone has no `control_text_tower`: add one")
        return tower.embed(texts, unit)

    def forget(self) -> None:
        """Drop remembered embeddings."""
        for tower in (self.matched, self.control):
            if tower is not None:
                tower.forget()

    @torch.inference_mode()
    def project(self, tokens: Tensor, ended: bool = True, unit: bool = True) -> Tensor:
        """Tokens of the vision tower, before any norm, to embeddings.

        Those of its last layer pass the layers of CLIP that the tower lacks; all pass CLIP's own norm and projection.

        Args:
            tokens: [T, D]; all tokens of one image, CLS first, unless the tower has all of CLIP's layers.
            ended: whether they are of the tower's last layer.
            unit: whether to bring them to unit length.

        Returns:
            [T, E].
        """
        return image_end(self.visual, self.depth if ended else None)(tokens, unit)


def load_clip_space(settings: BackboneSettings, root: Path, device: str, depth: int | None = None) -> ClipSpace:
    """Read the CLIP pair of a backbone, and the text half of the control pair where the settings name one.

    Args:
        settings: of the backbone.
        root: the project's root, to which local folders are relative.
        device: a torch device.
        depth: layers of the backbone's vision tower, if CLIP may have more.

    Raises:
        PruneProofError: if a tower is neither a local folder nor a name that open_clip knows, cannot be read, is of a
            kind whose patches cannot be taken into CLIP space, or embeds in another number of dimensions; or if none is
            named, which validation finds before.
    """
    if settings.text_tower is None:
        raise PruneProofError(
            f"family {settings.family!r} needs a `text_tower`: give the open_clip name of the one that matches the "
            "vision tower, or a local folder"
        )
    pair = _read("text_tower", settings.text_tower, settings.text_tower_pretrained, root, device)
    image_end(pair.model.visual, depth)
    control = None
    if settings.control_text_tower is not None:
        name = settings.control_text_tower
        control = _read("control_text_tower", name, settings.control_text_tower_pretrained, root, device)
        control.model.visual = None
        own, other = pair.dimension, control.dimension
        if own != other:
            raise PruneProofError(
                f"the embedding sizes of control_text_tower {name!r} ({other}) and text_tower {settings.text_tower!r} "
                f"({own}) differ: choose a control tower with {own}"
            )
    return ClipSpace(pair.model.visual, pair, control, depth)


def _read(key: str, name: str, tag: str | None, root: Path, device: str) -> TextTower:
    """An open_clip model that the settings name under `key`."""
    local = root / name
    source = name
    if local.is_dir():
        require_tower(local, key)
        source = f"local-dir:{local.resolve()}"
    elif name not in open_clip.list_models():
        raise PruneProofError(
            f"{key} {name!r} is neither a folder ({local}) nor a model that open_clip knows: "
            "choose one that `open_clip.list_models()` lists"
        )
    try:
        with never_asking():
            model = open_clip.create_model(
                source, pretrained=tag, require_pretrained=True, device=device, force_quick_gelu=quick_gelu(name, tag)
            )
            tokenizer = open_clip.get_tokenizer(source, **(NO_REMOTE_CODE if _reads_a_tokenizer(name, local) else {}))
    except (PruneProofError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes open_clip and its tokenizers raise anything
        raise PruneProofError(f"{key} {name!r} cannot be read ({reason(error)}): restore its files") from error
    require_finite(model, f"{key} {name!r}")
    return TextTower(model.eval().requires_grad_(False), tokenizer, device)


def _reads_a_tokenizer(name: str, local: Path) -> bool:
    """Whether open_clip takes the tokenizer from transformers; its own takes no options of theirs.

    A local config may hold options too (`tokenizer_kwargs`), which those of the caller override.

    Source: open_clip `factory.py::get_tokenizer`.
    """
    if local.is_dir():
        config = json.loads((local / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]
    else:
        config = open_clip.get_model_config(name) or {}
    return bool(config.get("text_cfg", {}).get("hf_tokenizer_name"))


def quick_gelu(name: str, tag: str | None) -> bool:
    """Whether published weights were trained with the quick form of GELU, as OpenAI's are.

    open_clip builds `ViT-L-14-336` with plain GELU and only warns when the weights `openai` ask for the other one.

    Source: open_clip `factory.py::create_model`, `pretrained.py`.
    """
    return tag is not None and bool(open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False))
