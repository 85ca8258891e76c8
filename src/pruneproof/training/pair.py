"""The CLIP pair of built-in models with the tokenizers: trained by one of them, read from its folder by the others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from open_clip import CLIP
from safetensors.torch import load_file
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pruneproof.errors import PruneProofError
from pruneproof.training.clip_model import build_clip, new_clip


@dataclass(frozen=True, slots=True)
class Pair:
    """A vision and a text tower in one space."""

    clip: CLIP
    config: dict[str, Any]
    """Content of `open_clip_config.json`."""
    tokenizer: PreTrainedTokenizerFast
    """Of the text tower."""
    language_tokenizer: PreTrainedTokenizerFast
    """Of the language model: the same words, but open at the end."""


def read_pair(folder: Path) -> Pair:
    """The finished pair in the folder of a built-in model.

    Raises:
        PruneProofError: if there is none.
    """
    inner = folder / "clip"
    try:
        config = json.loads((inner / "open_clip_config.json").read_text(encoding="utf-8"))
        state = load_file(inner / "open_clip_model.safetensors")
    except OSError as error:
        raise PruneProofError(f"{inner} holds no CLIP pair ({error}): train {folder.name} first") from error
    clip = build_clip(config)
    clip.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    read: Any = AutoTokenizer.from_pretrained
    return Pair(clip.eval().requires_grad_(False), config, read(inner), read(folder))


def text_half(pair: Pair) -> Pair:
    """The same pair with the least vision tower that the format allows, untrained: only its text tower is of use."""
    least = {"image_size": 28, "patch_size": 14, "layers": 1, "width": 16, "head_width": 16}
    config = pair.config | {"model_cfg": pair.config["model_cfg"] | {"vision_cfg": least}}
    small = new_clip(config)
    text = {name: tensor for name, tensor in pair.clip.state_dict().items() if not name.startswith("visual.")}
    small.load_state_dict(text, strict=False)
    return Pair(small, config, pair.tokenizer, pair.language_tokenizer)
