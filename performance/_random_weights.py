"""Models of published shapes with random weights: what is timed costs the same as with trained ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from open_clip.transformer import QuickGELU, TextTransformer
from transformers.initialization import no_init_weights


def random_model(stock: Callable[[Any], torch.nn.Module], config: Any, dtype: torch.dtype, device: str) -> Any:
    """A model with random weights that give finite numbers; the slow usual initialisation is left out."""
    with no_init_weights(), torch.device(device), _default(dtype):
        model: Any = stock(config)
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                weights.uniform_(-(weights.shape[-1] ** -0.5), weights.shape[-1] ** -0.5)
            else:
                weights.fill_(float(name.endswith("weight")))
    return model.eval().requires_grad_(False)


def random_text_tower(clip: Mapping[str, Any], dtype: torch.dtype, device: str) -> Any:
    """open_clip's text half of a pair, at its published shape.

    Source: open_clip `model.py::_build_text_tower`.
    """
    activation = QuickGELU if clip.get("quick_gelu") else torch.nn.GELU
    build = partial(TextTransformer, output_dim=clip["embed_dim"], act_layer=activation)
    return random_model(lambda text: build(**text), clip["text_cfg"], dtype, device)


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
