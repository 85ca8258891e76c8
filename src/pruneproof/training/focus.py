"""Where a tower's relevance and CLS attention lie: on what is asked for, on objects, or on the background?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.vocabulary import NOUN_NAMES, with_article
from pruneproof.training.clip_model import hidden_states
from pruneproof.training.pair import Pair
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.tower_training import normalise


@dataclass(frozen=True, slots=True)
class Focus:
    """Means over scenes; shares in percent."""

    relevance_asked: float
    """Cosine of the question `Is there a <class> in the image?` and the patches that show the class."""
    relevance_background: float
    """Cosine of the same questions and the patches that show no object."""
    background_wins: float
    """Share of questions whose background patches are more similar to them than the object's, on the mean."""
    attention_on_objects: float
    """Share of the last layer's CLS attention to patches that lies on patches with objects."""
    patches_with_objects: float
    """Share of patches that show an object: what the number before would be for even attention."""


@torch.inference_mode()
def focus(pair: Pair, cache: SceneCache, images: int = 100) -> Focus:
    """Look at the first scenes of a cache.

    Args:
        pair: finished towers.
        cache: scenes with the labels of their patches.
        images: number of scenes.
    """
    visual: Any = pair.clip.visual
    device = visual.conv1.weight.device
    relevance: list[tuple[float, float]] = []
    attention: list[tuple[float, float]] = []
    for index in range(min(images, len(cache.scenes))):
        shown = np.asarray(cache.nouns[index]).astype(bool)
        objects = torch.from_numpy(shown.any(1))
        if bool(objects.all()) or not bool(objects.any()):
            continue
        before, last = hidden_states(visual, normalise(np.array(cache.pixels[index : index + 1])).to(device))
        weights = cls_attention(visual, before)[0].cpu()
        attention.append((float(weights[objects].sum() / weights.sum()), float(objects.float().mean())))
        patches = torch.nn.functional.normalize(visual.ln_post(last[0, 1:]) @ visual.proj, dim=-1)
        nouns = [noun for noun in facts.present(cache.scenes[index]) if shown[:, NOUN_NAMES.index(noun)].any()]
        questions = [f"Is there {with_article(noun)} in the image?" for noun in nouns]
        for noun, cosine in zip(nouns, (_texts(pair, questions).to(device) @ patches.T).cpu(), strict=True):
            asked = torch.from_numpy(shown[:, NOUN_NAMES.index(noun)])
            relevance.append((float(cosine[asked].mean()), float(cosine[~objects].mean())))
    on_asked, on_background = np.array(relevance).T
    on_objects, even = np.array(attention).T
    return Focus(
        relevance_asked=float(on_asked.mean()),
        relevance_background=float(on_background.mean()),
        background_wins=float(100 * (on_background > on_asked).mean()),
        attention_on_objects=float(100 * on_objects.mean()),
        patches_with_objects=float(100 * even.mean()),
    )


def cls_attention(visual: Any, state: Tensor) -> Tensor:
    """Attention of CLS to every patch in the last layer, mean over heads: [B, N] of a layer's input [B, 1 + N, D]."""
    block = visual.transformer.resblocks[-1]
    normed = block.ln_1(state)
    query, key, _ = (normed @ block.attn.in_proj_weight.T + block.attn.in_proj_bias).chunk(3, dim=-1)
    batch, length, width = normed.shape
    heads = block.attn.num_heads
    query, key = (part.view(batch, length, heads, width // heads).transpose(1, 2) for part in (query, key))
    weights = (query[:, :, :1] @ key.transpose(-1, -2) * (width // heads) ** -0.5).softmax(-1)
    mean: Tensor = weights[:, :, 0, 1:].mean(1)
    return mean


def _texts(pair: Pair, texts: list[str]) -> Tensor:
    length = pair.config["model_cfg"]["text_cfg"]["context_length"]
    made: Any = pair.tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    device = pair.clip.visual.conv1.weight.device
    embedded: Tensor = pair.clip.encode_text(made.input_ids.to(device), normalize=True)
    return embedded.cpu()
