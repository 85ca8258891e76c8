"""The frozen tower's features of all training scenes, computed once and kept as a memory-mapped array."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from pruneproof.files import digest
from pruneproof.seeds import generator
from pruneproof.training.clip_model import hidden_states
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.tower_training import normalise
from pruneproof.training.variety import vary

_BATCH = 25
_TOKENS = 257


def tower_features(visual: Any, cache: SceneCache, folder: Path, layer: int) -> NDArray[np.float16]:
    """Outputs of a layer for every scene: scenes x 257 x width, float16, CLS first.

    The file is named by the weights in front of it, so that models with one tower share it and a changed tower never
    finds it. A file `<name>.done` holds the number of finished scenes: a killed run goes on where it stopped.

    Args:
        visual: open_clip's VisionTransformer.
        cache: the scenes.
        folder: where the file lies.
        layer: -1 for the last layer, -2 for the one before.
    """
    count = len(cache.scenes)
    weight = visual.conv1.weight
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_name(visual, layer)}_{cache.split}_{count}.npy"
    progress = path.with_suffix(".done")
    done = int(progress.read_text(encoding="utf-8")) if progress.exists() and path.exists() else 0
    mode = "r+" if done else "w+"
    features = np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=(count, _TOKENS, len(weight)))
    starts = range(done, count, _BATCH)
    with torch.inference_mode():
        for start in track(starts, description=f"features of {count} scenes"):
            stop = min(count, start + _BATCH)
            before, last = hidden_states(visual, normalise(np.array(cache.pixels[start:stop])).to(weight.device))
            features[start:stop] = (last if layer == -1 else before).cpu().numpy().astype(np.float16)
            if start // _BATCH % 20 == 19 or stop == count:
                features.flush()
                progress.write_text(str(stop), encoding="utf-8")
    stored: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return stored


def varied_features(visual: Any, cache: SceneCache, folder: Path, layer: int, seed: int) -> NDArray[np.float16]:
    """The same for one varied picture of every scene (`variety`), which depends on the seed and the scene's number."""
    varied: Any = _Varied(cache.pixels, seed)
    return tower_features(visual, replace(cache, split=f"{cache.split}-varied{seed}", pixels=varied), folder, layer)


@dataclass(frozen=True, slots=True)
class _Varied:
    """Pictures that are varied when they are looked at."""

    pixels: NDArray[np.uint8]
    seed: int

    def __getitem__(self, part: slice) -> NDArray[np.uint8]:
        numbers = range(len(self.pixels))[part]
        return np.stack([vary(np.array(self.pixels[i]), generator(self.seed, "varied", i)) for i in numbers])


def _name(visual: Any, layer: int) -> str:
    """Digest of every weight that the output of a layer depends on, rounded as it is stored, and the layer."""
    blocks = list(visual.transformer.resblocks)
    used = blocks if layer == -1 else blocks[:-1]
    modules = [visual.conv1, visual.ln_pre, *used]
    tensors = [visual.class_embedding, visual.positional_embedding, *(p for m in modules for p in m.parameters())]
    return f"{digest(*(t.detach().cpu().half().numpy().tobytes() for t in tensors))[:16]}{layer}"


def variance_explained_by_place(features: NDArray[np.float16]) -> tuple[float, float]:
    """Percent of the patch features' variance that the mean over each column (x) and each row (y) explains."""
    patches = np.asarray(features[:200, 1:], np.float32).reshape(-1, 16, 16, features.shape[-1])
    total = patches.var((0, 1, 2)).sum()
    by_x = patches.mean((0, 1)).var(0).sum()
    by_y = patches.mean((0, 2)).var(0).sum()
    return float(100 * by_x / total), float(100 * by_y / total)
