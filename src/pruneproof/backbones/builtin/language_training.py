"""Training of the projector and the language model on the frozen tower's features, which are computed once.

No visual token is ever dropped here: pruning stays training-free.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pruneproof.backbones.builtin.corpus import lessons
from pruneproof.backbones.builtin.phases import Phase, run_phase
from pruneproof.backbones.builtin.scene_cache import SceneCache
from pruneproof.backbones.builtin.settings import LanguageSettings, TrainingSettings
from pruneproof.backbones.builtin.students import Student
from pruneproof.seeds import generator

log = logging.getLogger(__name__)

_PLAN = {"existence": 7, "colour": 3, "count": 5, "relation": 6, "side": 2, "compositional": 2}
_LATER_PLAN = {"existence": 4, "colour": 2, "count": 6, "relation": 8, "side": 4, "compositional": 1, "short_side": 5}
"""When existence and colour are learnt."""

_SHORT_ONLY = 40
"""Short forms per image while nothing else is asked."""

_SHORT_COUNT = 3
"""Short forms that ask for a number, at every step."""

_SHORT = 16
"""Short forms per image when whole questions begin; they fade out linearly."""


def lesson_plan(step: int, settings: LanguageSettings) -> dict[str, int]:
    """Questions of each kind an image at a step: short forms alone, then all kinds while the short forms fade out."""
    if step < settings.short_only:
        return {"short": _SHORT_ONLY, "short_count": _SHORT_COUNT}
    plan = _PLAN if step < settings.later_plan else _LATER_PLAN
    left = (settings.short_until - step) / (settings.short_until - settings.short_only)
    return plan | {
        "short": round(_SHORT * max(0.0, left)),
        "short_count": _SHORT_COUNT,
        "caption": int(step % 4 == 0),
    }


class LanguageTrainer:
    """Trains a student's connector, language model and head."""

    def __init__(
        self, student: Student, tokenizer: PreTrainedTokenizerFast, settings: TrainingSettings, device: str
    ) -> None:
        self.student, self.tokenizer, self.settings, self.device = student, tokenizer, settings, device
        for module in student.trained().values():
            module.to(device)

    def read(self, features: NDArray[np.float16], chosen: Sequence[int]) -> Tensor:
        """What the language model reads of some scenes, [B, V, W]."""
        batch = torch.from_numpy(np.stack([features[i] for i in chosen])).float()
        return self.student.read(batch.to(self.device))

    def train(
        self, cache: SceneCache, features: NDArray[np.float16], folder: Path, validate: LanguageValidation
    ) -> float:
        """Run the language phase; returns its seconds."""
        settings = self.settings.language
        total = settings.steps

        def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
            rng = generator(self.settings.seed, "language", step)
            chosen = sorted(rng.integers(len(features), size=settings.batch).tolist())
            plan = lesson_plan(step, settings)
            asked = [lessons(cache.scenes[i], plan, settings.noise, rng) for i in chosen]
            visual = self.read(features, chosen)
            found = self.student.predict(visual, asked)
            loss = nn.functional.cross_entropy(found.logits, found.targets)
            if step < settings.alignment_share * total:
                loss = loss + settings.alignment_weight * self.student.aid(visual, cache, chosen, rng)
            return loss, {"token": float((found.logits.argmax(-1) == found.targets).float().mean())}

        def report(step: int, values: dict[str, float]) -> None:
            log.info("language %d %s", step, {k: round(v, 3) for k, v in values.items()})
            if step % 500 == 0 or step == total:
                scores = validate.scores(self, held_out=False)
                log.info("validation %d %s", step, {k: round(v, 1) for k, v in scores.items()})

        modules = dict(self.student.trained())
        phase = Phase(
            "language",
            total,
            tuple((module, settings.rate) for module in modules.values()),
            warmup=150,
            decay_share=settings.decay_share,
        )
        return run_phase(phase, modules, loss_of, folder, 100, report)


class LanguageValidation:
    """Questions on validation scenes that are never trained on."""

    _PLAN: ClassVar[dict[str, int]] = {
        "existence": 6,
        "colour": 2,
        "count": 3,
        "relation": 4,
        "side": 2,
        "compositional": 2,
    }

    def __init__(self, cache: SceneCache, features: NDArray[np.float16], seed: int, images: int) -> None:
        self.cache, self.features, self.seed, self.images = cache, features, seed, images

    def scores(self, trainer: LanguageTrainer, held_out: bool) -> dict[str, float]:
        """Percent of questions whose every answer token is right, by form; counts also by their true number."""
        right: dict[str, list[bool]] = defaultdict(list)
        for start in range(0, self.images, 10):
            chosen = range(start, min(self.images, start + 10))
            asked = [
                lessons(self.cache.scenes[i], self._PLAN, 0.0, generator(self.seed, "validate", i), held_out)
                for i in chosen
            ]
            with torch.inference_mode():
                found = trainer.student.predict(trainer.read(self.features, chosen), asked)
            hits = (found.logits.argmax(-1) == found.targets).tolist()
            per_lesson: dict[tuple[int, int], bool] = {}
            for hit, *of in zip(hits, found.image.tolist(), found.lesson.tolist(), strict=True):
                key = (int(of[0]), int(of[1]))
                per_lesson[key] = per_lesson.get(key, True) and hit
            for (image, number), correct in per_lesson.items():
                lesson = asked[image][number]
                right[lesson.form].append(correct)
                if lesson.form == "count":
                    right[f"count/{lesson.answer}"].append(correct)
        return {form: 100 * float(np.mean(values)) for form, values in sorted(right.items())}
