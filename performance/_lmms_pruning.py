"""ATP as one adds it to a harness: a picture and a question in, the pruned prompt's embeddings out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruneproof.answering.doors import Picture, show
from pruneproof.backbones.families.llava import Llava
from pruneproof.pruning.protocol import Method


@torch.inference_mode()
def pruned_prompt(
    backbone: Llava, method: Method, inputs: Mapping[str, Tensor], size: tuple[int, int], question: str
) -> Tensor:
    """A prompt in which the picture's tokens are those that the method keeps for one question.

    Args:
        backbone: a loaded LLaVA.
        method: acts before the connector.
        inputs: of the checkpoint's own processor for one question: `input_ids` [1, T] with a placeholder for every
            patch, and `pixel_values` [1, 3, P, P].
        size: width and height of the picture.
        question: by which tokens are selected.

    Returns:
        [1, T - dropped, W], for `generate(inputs_embeds=...)`.
    """
    model: Any = backbone.model
    [tokens] = backbone.look(inputs["pixel_values"], [size])
    [[seen]] = show(backbone, method, [Picture(tokens, (question,), lambda: np.random.default_rng(0))])
    ids = inputs["input_ids"][0]
    places = (ids == model.config.image_token_id).nonzero()[:, 0]
    embed = model.get_input_embeddings()
    before, after = ids[: int(places[0])], ids[int(places[-1]) + 1 :]
    return torch.cat([embed(before), seen.shown.rows, embed(after)])[None]
