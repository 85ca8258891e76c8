"""Writes a trained model in the layouts that published checkpoints have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from pruneproof.training.pair import Pair


def export(folder: Path, model: Any, processor: Any, pairs: Mapping[str, Pair | None]) -> None:
    """Save a transformers model with its processor, and CLIP pairs beside it in open_clip's local layout, in float16.

    Everything is written to a new folder that then takes the place of `folder`.

    Args:
        folder: of the finished model.
        model: with float32 weights.
        processor: of the same family.
        pairs: by the name of their folder; those that are None are left out.
    """
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    half = type(model)(model.config)
    half.half()
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.save_pretrained(new)
    processor.save_pretrained(new)
    for name, pair in pairs.items():
        if pair is not None:
            _export_pair(new / name, pair)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def _export_pair(folder: Path, pair: Pair) -> None:
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(pair.config, indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.to(torch.float16).contiguous() for name, tensor in pair.clip.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    # What it was last called with would be stored, too, and depends on which phases this process trained.
    pair.tokenizer.backend_tokenizer.no_padding()
    pair.tokenizer.backend_tokenizer.no_truncation()
    pair.tokenizer.save_pretrained(folder)
