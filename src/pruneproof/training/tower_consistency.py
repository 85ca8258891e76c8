"""The tower learns that a picture stays what it is in fog, out of focus or badly lit: distillation of features.

The finished tower is the teacher and sees the clean scene; a copy of it sees the same scene varied (`variety`) and
learns to say the same at every token of the last two layers. So features stay where they were: connectors, language
models and the text tower, trained on them, still read them. Nothing here compares a picture with a text.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pruneproof import machine
from pruneproof.seeds import generator
from pruneproof.training.clip_model import hidden_states
from pruneproof.training.phases import Phase, run_phase
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.settings import TrainingSettings
from pruneproof.training.tower_training import normalise
from pruneproof.training.variety import Pixels, vary

log = logging.getLogger(__name__)

LEAST_CROP = 0.75
"""Smallest side of a cut-out, as a share of the picture's; it is made as large as the picture again."""

_AHEAD = 4
"""Batches that are varied before they are needed."""

_EVERY = 50
"""Steps between checkpoints."""

_EVEN = 0.2
"""Share of the mean variance that is added to every direction before whitening, so that noise does not count."""


@dataclass(frozen=True, slots=True)
class Views:
    """One step's pictures as both towers see them."""

    scenes: NDArray[np.int64]
    """Indices of the scenes."""
    cut: Pixels
    """[C, H, W, 3] what the teacher sees of the last C scenes, which are cut-outs; of the others it sees all."""
    varied: Pixels
    """[B, H, W, 3] what the student sees."""


def views(cache: SceneCache, settings: TrainingSettings, step: int) -> Views:
    """The pictures of a step: some clean, some varied, some cut out and then varied; depends on the step alone."""
    tower = settings.tower
    rng = generator(settings.seed, "consistency", step)
    scenes = rng.choice(
        len(cache.pixels), size=tower.consistency_batch, replace=len(cache.pixels) < tower.consistency_batch
    )
    clean, cuts = tower.consistency_clean, tower.consistency_cut
    pictures = [np.array(cache.pixels[i]) for i in scenes]
    cut = [cut_out(picture, rng) for picture in pictures[len(pictures) - cuts :]]
    seen = pictures[: len(pictures) - cuts] + cut
    varied = [picture if number < clean else vary(picture, rng) for number, picture in enumerate(seen)]
    return Views(scenes, np.stack(cut) if cut else np.zeros((0, *pictures[0].shape), np.uint8), np.stack(varied))


def cut_out(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A square of a picture at a random place, from `LEAST_CROP` of its side on, in the picture's size."""
    height, width = pixels.shape[:2]
    share = rng.uniform(LEAST_CROP, 1)
    size = round(share * height), round(share * width)
    top, left = int(rng.integers(height - size[0] + 1)), int(rng.integers(width - size[1] + 1))
    part = pixels[top : top + size[0], left : left + size[1]]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def whitening(states: Tensor) -> Tensor:
    """[D, D] map under which the directions of states [N, D] differ about equally, the faintest left a little fainter.

    A few directions hold most of a tower's variance; the squared distance alone would forget the names of objects.
    """
    flat = states.double()
    values, vectors = torch.linalg.eigh(torch.cov((flat - flat.mean(0)).T))
    even = (values + _EVEN * values.mean()).rsqrt()
    white: Tensor = (vectors * even @ vectors.T).float()
    return white


def distance(student: Tensor, teacher: Tensor, even: Tensor) -> Tensor:
    """Mean squared difference of whitened states [B, T, D]; 2 for unrelated states, about."""
    mean: Tensor = ((student.float() - teacher.float()) @ even).square().mean()
    return mean


def train_consistency(
    teacher: Any,
    student: Any,
    cache: SceneCache,
    features: NDArray[np.float16],
    settings: TrainingSettings,
    folder: Path,
) -> float:
    """Train the student to see in varied pictures what the teacher sees in clean ones; returns the seconds.

    Args:
        teacher: open_clip's VisionTransformer; it is left as it is.
        student: one of the same shape and device; all that lies before its pooling is trained.
        cache: the scenes.
        features: scenes x 257 x width, the teacher's output of the last layer but one for clean scenes, CLS first.
        settings: of the training.
        folder: where the checkpoint lies.
    """
    device = teacher.conv1.weight.device
    last = teacher.transformer.resblocks[-1]
    sample = torch.from_numpy(np.array(features[:200])).float().to(device)
    with torch.no_grad():
        evens = [whitening(states[:, 1:].flatten(0, 1)) for states in (sample, last(sample))]
    student.requires_grad_(True)
    student.ln_post.requires_grad_(False)
    student.proj.requires_grad_(False)
    tower = settings.tower
    phase = Phase(
        "tower_consistency",
        tower.consistency_steps,
        ((student, tower.consistency_rate),),
        warmup=min(100, tower.consistency_steps),
        decay_share=0.9,
    )
    stream = _Stream(cache, settings)

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        shown = stream.views(step)
        whole = len(shown.scenes) - len(shown.cut)
        with torch.autocast(device.type, torch.bfloat16), torch.no_grad():
            before = torch.from_numpy(np.stack([features[i] for i in shown.scenes[:whole]])).float().to(device)
            truth = [before, last(before)]
            if len(shown.cut):
                of_cut = hidden_states(teacher, normalise(shown.cut).to(device))
                truth = [torch.cat([a, b]) for a, b in zip(truth, of_cut, strict=True)]
        with torch.autocast(device.type, torch.bfloat16):
            found = hidden_states(student, normalise(shown.varied).to(device))
        parts = [distance(s, t, even) for s, t, even in zip(found, truth, evens, strict=True)]
        values = {"before_last": float(parts[0].detach()), "last": float(parts[1].detach())}
        return parts[0] + parts[1], values

    def report(step: int, values: dict[str, float]) -> None:
        log.info("tower_consistency %d %s", step, {k: round(v, 4) for k, v in values.items()})

    with stream:
        seconds = run_phase(phase, {"visual": student}, loss_of, folder, _EVERY, report)
    student.requires_grad_(False)
    return seconds


class _Stream:
    """Varies the pictures of the next steps in other threads while one step trains."""

    def __init__(self, cache: SceneCache, settings: TrainingSettings) -> None:
        self.cache, self.settings = cache, settings
        self.pool = ThreadPoolExecutor(machine.workers())
        self.waiting: dict[int, Future[Views]] = {}

    def views(self, step: int) -> Views:
        """The pictures of a step."""
        for ahead in range(step, min(step + 1 + _AHEAD, self.settings.tower.consistency_steps)):
            if ahead not in self.waiting:
                self.waiting[ahead] = self.pool.submit(views, self.cache, self.settings, ahead)
        return self.waiting.pop(step).result()

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
