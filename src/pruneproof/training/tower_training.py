"""Training of the CLIP pair: windows with aids, whole images with aids, then open_clip's loss alone.

The aids (throw-away heads that name classes, colours, centres of objects and the number of equal objects at every
patch, and a loss that keeps place loud) teach the tower to see at this small scale; the last phase has none of them,
and no phase compares a patch with a text.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip import CLIP, ClipLoss
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pruneproof.benchmarks.scenes import facts
from pruneproof.benchmarks.scenes.vocabulary import COLOURS, NOUN_NAMES
from pruneproof.seeds import generator
from pruneproof.training.clip_model import (
    IMAGE_MEAN,
    IMAGE_STD,
    hidden_states,
    patchify,
    place_loss,
    pool,
)
from pruneproof.training.corpus import contrastive_caption
from pruneproof.training.phases import Phase, run_phase
from pruneproof.training.scene_cache import GRID, PATCH, SceneCache
from pruneproof.training.settings import TrainingSettings

log = logging.getLogger(__name__)

_POSITIVE_WEIGHT = 4.0
"""Most patches show no object; without it the heads learn to say nothing for long."""

_PLACE_AMPLITUDE = 1.9


class AidHeads(nn.Module):
    """Throw-away linear heads on the last layer but one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.nouns = nn.Linear(width, len(NOUN_NAMES))
        self.colours = nn.Linear(width, len(COLOURS))
        self.counts = nn.Linear(width, facts.MOST_COUNTED)
        self.centres = nn.Linear(width, 1)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[B, P, width] to logits of classes [B, P, 24], colours [B, P, 7], number of equal objects [B, P, 4] and
        whether an object's centre lies in the patch [B, P]."""
        state = self.norm(state)
        return self.nouns(state), self.colours(state), self.counts(state), self.centres(state).squeeze(-1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Patches and what is known of them."""

    patches: Tensor
    places: Tensor | None
    nouns: Tensor
    colours: Tensor
    centres: Tensor
    counts: Tensor | None
    texts: Tensor

    def to(self, device: str) -> Batch:
        """The same batch on a device."""
        moved = [getattr(self, field.name) for field in fields(self)]
        on_device: list[Any] = [tensor if tensor is None else tensor.to(device) for tensor in moved]
        return Batch(*on_device)


def normalise(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 [B, 14 * h, 14 * w, 3] to normalised patches [B, h * w, 588]."""
    mean, std = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_STD)
    scaled = (torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255 - mean) / std
    return patchify(scaled.permute(0, 3, 1, 2))


def _tokens(tokenizer: PreTrainedTokenizerFast, texts: list[str], length: int) -> Tensor:
    ids: Tensor = tokenizer(
        texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids
    return ids


def _counts(cache: SceneCache, index: int) -> NDArray[np.int64]:
    """For each patch the number (1..4) of objects of the class it shows, minus one; -1 where none or unclear."""
    shown = np.asarray(cache.nouns[index])
    numbers = facts.counts(cache.scenes[index])
    per_class = np.array([numbers.get(noun, 0) for noun in NOUN_NAMES])
    value = (shown * per_class).max(1) - 1
    return np.where((shown.sum(1) == 1) & (value < facts.MOST_COUNTED), value, -1).astype(np.int64)


def _centres(cache: SceneCache, index: int) -> NDArray[np.float32]:
    """1 for each patch that holds the centre of an object, so that objects can be told apart and counted."""
    marks = np.zeros(GRID * GRID, np.float32)
    for placed in cache.scenes[index].objects:
        marks[int(placed.y // PATCH) * GRID + int(placed.x // PATCH)] = 1
    return marks


class TowerTrainer:
    """The three phases on one CLIP pair."""

    def __init__(
        self, clip: CLIP, tokenizer: PreTrainedTokenizerFast, cache: SceneCache, settings: TrainingSettings, device: str
    ) -> None:
        self.clip, self.tokenizer, self.cache, self.settings = clip.to(device), tokenizer, cache, settings
        self.device = device
        self.heads = AidHeads(settings.tower.width).to(device)
        self.loss = ClipLoss()

    def _texts(self, scenes: list[tuple[int, list[int]]], rng: np.random.Generator) -> Tensor:
        captions = [contrastive_caption(self.cache.scenes[i], shown, rng) for i, shown in scenes]
        return _tokens(self.tokenizer, captions, self.settings.tower.context_length)

    def windows(self, step: int) -> Batch:
        """Square windows of patches at their true places."""
        settings = self.settings.tower
        rng = generator(self.settings.seed, "windows", step)
        side, batch = settings.window, settings.window_batch
        indices = rng.integers(len(self.cache.scenes), size=batch)
        corners = rng.integers(0, GRID - side + 1, size=(batch, 2))
        reach = side * PATCH
        pixels = np.stack(
            [
                self.cache.pixels[i, top * PATCH : top * PATCH + reach, left * PATCH : left * PATCH + reach]
                for i, (top, left) in zip(indices, corners, strict=True)
            ]
        )
        rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
        places = ((corners[:, :1] + rows.reshape(-1)) * GRID + corners[:, 1:] + columns.reshape(-1)).astype(np.int64)
        take = np.arange(batch)[:, None]
        shown = []
        for i, (top, left) in zip(indices, corners, strict=True):
            low_x, low_y = left * PATCH, top * PATCH
            objects = self.cache.scenes[i].objects
            inside = [k for k, o in enumerate(objects) if low_x <= o.x < low_x + reach and low_y <= o.y < low_y + reach]
            shown.append((int(i), inside))
        return Batch(
            normalise(pixels),
            torch.from_numpy(places),
            torch.from_numpy(np.stack([self.cache.nouns[i] for i in indices])[take, places]).float(),
            torch.from_numpy(np.stack([self.cache.colours[i] for i in indices])[take, places]).float(),
            torch.from_numpy(np.stack([_centres(self.cache, int(i)) for i in indices])[take, places]),
            None,
            self._texts(shown, rng),
        )

    def images(self, step: int) -> Batch:
        """Whole images."""
        rng = generator(self.settings.seed, "images", step)
        indices = np.sort(rng.integers(len(self.cache.scenes), size=self.settings.tower.image_batch))
        return Batch(
            normalise(np.stack([self.cache.pixels[i] for i in indices])),
            None,
            torch.from_numpy(np.stack([self.cache.nouns[i] for i in indices])).float(),
            torch.from_numpy(np.stack([self.cache.colours[i] for i in indices])).float(),
            torch.from_numpy(np.stack([_centres(self.cache, int(i)) for i in indices])),
            torch.from_numpy(np.stack([_counts(self.cache, int(i)) for i in indices])),
            self._texts([(int(i), list(range(len(self.cache.scenes[i].objects)))) for i in indices], rng),
        )

    def contrast(self, last: Tensor, texts: Tensor) -> Tensor:
        """open_clip's contrastive loss of one batch."""
        text = self.clip.encode_text(texts, normalize=True)
        loss: Tensor = self.loss(pool(self.clip.visual, last), text, self.clip.logit_scale.exp().clamp(max=50.0))
        return loss

    def _aided(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        batch = batch.to(self.device)
        before, last = hidden_states(self.clip.visual, batch.patches, batch.places)
        nouns, colours, counts, centres = self.heads(before[:, 1:])
        weight = torch.tensor(_POSITIVE_WEIGHT, device=self.device)
        bce = nn.functional.binary_cross_entropy_with_logits
        noun_loss = bce(nouns, batch.nouns, pos_weight=weight) * len(NOUN_NAMES)
        colour_loss = bce(colours, batch.colours, pos_weight=weight) * len(COLOURS)
        contrast = self.contrast(last, batch.texts)
        centre_loss = bce(centres, batch.centres, pos_weight=weight)
        loss = (
            noun_loss
            + colour_loss
            + centre_loss
            + 0.3 * contrast
            + place_loss(before[:, 1:], _PLACE_AMPLITUDE, batch.places)
        )
        shown = batch.nouns.sum(-1) == 1
        hit = (nouns.argmax(-1) == batch.nouns.argmax(-1))[shown].float().mean()
        hue = (colours.argmax(-1) == batch.colours.argmax(-1))[shown].float().mean()
        values = {"contrast": float(contrast.detach()), "noun": float(hit), "colour": float(hue)}
        marked = batch.centres > 0
        values["centre"] = float((centres > 0)[marked].float().mean() - (centres > 0)[~marked].float().mean())
        if batch.counts is not None:
            loss = loss + nn.functional.cross_entropy(counts.flatten(0, 1), batch.counts.flatten(), ignore_index=-1)
            known = batch.counts >= 0
            values["count"] = float((counts.argmax(-1) == batch.counts)[known].float().mean())
        return loss, values

    def train_aided(self, folder: Path) -> dict[str, float]:
        """Phases one and two; returns the seconds of each."""
        tower = self.settings.tower
        modules = {"clip": self.clip, "heads": self.heads}

        def report(step: int, values: dict[str, float]) -> None:
            log.info("tower %d %s", step, {k: round(v, 3) for k, v in values.items()})

        seconds = {}
        windows = Phase("tower_windows", tower.window_steps, ((self.clip, tower.rate), (self.heads, tower.rate)))
        seconds["tower_windows"] = run_phase(
            windows, modules, lambda s: self._aided(self.windows(s)), folder, 50, report
        )
        images = Phase(
            "tower_images", tower.image_steps, ((self.clip, tower.image_rate), (self.heads, tower.image_rate))
        )
        seconds["tower_images"] = run_phase(images, modules, lambda s: self._aided(self.images(s)), folder, 50, report)
        return seconds

    def train_contrastive(self, features: NDArray[np.float16], folder: Path, name: str = "tower_contrastive") -> float:
        """The last phase: last layer, projections and text tower on open_clip's loss alone.

        Args:
            features: scenes x 257 x width, outputs of the last layer but one (CLS first), which no longer change.
            folder: where the checkpoint lies.
            name: of the phase; its batches are drawn by it.

        Returns:
            Its seconds.
        """
        tower = self.settings.tower
        visual = self.clip.visual
        block = visual.transformer.resblocks[-1]

        def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
            rng = generator(self.settings.seed, name.removeprefix("tower_"), step)
            indices = np.sort(rng.choice(len(features), size=tower.contrastive_batch, replace=False))
            state = torch.from_numpy(np.stack([features[i] for i in indices])).float()
            texts = self._texts([(int(i), list(range(len(self.cache.scenes[i].objects)))) for i in indices], rng)
            loss = self.contrast(block(state.to(self.device)), texts.to(self.device))
            return loss, {}

        self.clip.lock_image_tower(unlocked_groups=0)
        for module in (block, visual.ln_post):
            module.requires_grad_(True)
        visual.proj.requires_grad_(True)
        groups: list[tuple[nn.Module | nn.Parameter, float]] = [
            (block, 5e-4),
            (visual.ln_post, 5e-4),
            (visual.proj, 5e-4),
        ]
        groups += [(self.clip.transformer, 5e-4), (self.clip.token_embedding, 5e-4), (self.clip.ln_final, 5e-4)]
        groups += [
            (self.clip.positional_embedding, 5e-4),
            (self.clip.text_projection, 5e-4),
            (self.clip.logit_scale, 5e-4),
        ]
        phase = Phase(name, tower.contrastive_steps, tuple(groups))
        return run_phase(
            phase,
            {"clip": self.clip},
            loss_of,
            folder,
            25,
            lambda step, values: log.info("%s %d %s", name, step, {k: round(v, 3) for k, v in values.items()}),
        )
