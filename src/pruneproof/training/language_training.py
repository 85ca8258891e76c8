"""Training of the projector and the language model on the frozen tower's features, which are computed once.

No visual token is ever dropped here: pruning stays training-free.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pruneproof.benchmarks.scenes.composition import Scene
from pruneproof.seeds import generator
from pruneproof.training.corpus import Lesson, lessons
from pruneproof.training.dialogues import MOST_TURNS, Dialogue, alone, cut
from pruneproof.training.phases import Phase, run_phase
from pruneproof.training.scene_cache import SceneCache
from pruneproof.training.settings import LanguageSettings, TrainingSettings
from pruneproof.training.students import Student

log = logging.getLogger(__name__)

_PLAN = {"existence": 7, "colour": 3, "count": 5, "relation": 6, "side": 2, "compositional": 2}
_LATER_PLAN = {"existence": 4, "colour": 2, "count": 6, "relation": 8, "side": 4, "compositional": 1, "short_side": 5}
"""When existence and colour are learnt."""

_DIALOGUE_PLAN = {"existence": 8, "colour": 3, "count": 4, "relation": 3, "compositional": 2}
"""When questions come one after the other."""

_PLACE_SETTLE_PLAN = _DIALOGUE_PLAN | {"count": 5, "relation": 7, "compositional": 4}
"""The same at the end of a model that knows place."""

_SHORT_ONLY = 40
"""Short forms per image while nothing else is asked."""

_SHORT_COUNT = 3
"""Short forms that ask for a number, at every step."""

_BOUND_WEIGHT = 1.0
"""Of the loss that holds large states back."""

_SHORT = 16
"""Short forms per image when whole questions begin; they fade out linearly."""


_PLACE_SHORT_ONLY = {"short": 26, "short_count": 3, "short_side": 14}
_PLACE_PLAN = {
    "existence": 6, "colour": 3, "count": 5, "relation": 6, "side": 2, "compositional": 3, "short_side": 6,
    "short_relation": 6,
}  # fmt: skip
_PLACE_LATER_PLAN = _PLACE_PLAN | {"existence": 5, "colour": 2, "relation": 9, "short_side": 3}
"""The same three for a model that is to learn place from the start."""


def lesson_plan(step: int, settings: LanguageSettings) -> dict[str, int]:
    """Questions of each kind an image at a step: short forms alone, then all kinds while the short forms fade out."""
    first, plan, later = (
        (_PLACE_SHORT_ONLY, _PLACE_PLAN, _PLACE_LATER_PLAN)
        if settings.place
        else ({"short": _SHORT_ONLY, "short_count": _SHORT_COUNT}, _PLAN, _LATER_PLAN)
    )
    if step < settings.short_only:
        return first
    plan = plan if step < settings.later_plan else later
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

    def read(self, features: Sequence[NDArray[np.float16]]) -> Tensor:
        """What the language model reads of some pictures' features [257, D], CLS first: [B, V, W]."""
        batch = torch.from_numpy(np.stack(features)).float()
        return self.student.read(batch.to(self.device))

    def train(
        self, cache: SceneCache, features: NDArray[np.float16], folder: Path, validate: LanguageValidation
    ) -> float:
        """Run the language phase; returns its seconds."""
        settings = self.settings.language

        def asked(step: int, scene: Scene, rng: np.random.Generator) -> list[Dialogue]:
            return alone(lessons(scene, lesson_plan(step, settings), settings.noise, rng))

        phase = self._phase("language", settings.steps, settings.rate, settings.decay_share)
        aided = settings.alignment_share * settings.steps
        return self._run(phase, asked, aided, cache, (features,), folder, validate)

    def train_dialogues(
        self, cache: SceneCache, features: NDArray[np.float16], folder: Path, validate: LanguageValidation
    ) -> float:
        """Go on with questions one after the other, without any aid; returns the seconds."""
        settings = self.settings.language

        def asked(step: int, scene: Scene, rng: np.random.Generator) -> list[Dialogue]:
            captions = lessons(scene, {"caption": int(step % 4 == 0)}, settings.noise, rng)
            return cut(lessons(scene, _DIALOGUE_PLAN, settings.noise, rng), rng) + alone(captions)

        phase = self._phase("dialogues", settings.dialogue_steps, settings.dialogue_rate, 1.0)
        return self._run(phase, asked, 0, cache, (features,), folder, validate)

    def settle(
        self, cache: SceneCache, sources: Sequence[NDArray[np.float16]], folder: Path, validate: LanguageValidation
    ) -> float:
        """Get used to the finished tower, without any aid; returns the seconds.

        Args:
            cache: the scenes.
            sources: features of the same scenes, clean and varied; each scene of a batch is read from one of them.
            folder: where the checkpoint lies.
            validate: scores the model on the way.
        """
        settings = self.settings.language
        plan = _PLACE_SETTLE_PLAN if settings.place else _DIALOGUE_PLAN

        def asked(step: int, scene: Scene, rng: np.random.Generator) -> list[Dialogue]:
            captions = lessons(scene, {"caption": int(step % 4 == 0)}, settings.noise, rng)
            return cut(lessons(scene, plan, settings.noise, rng), rng) + alone(captions)

        phase = self._phase("settle", settings.settle_steps, settings.settle_rate, 1.0)
        return self._run(phase, asked, 0, cache, sources, folder, validate)

    def _phase(self, name: str, steps: int, rate: float, decay_share: float) -> Phase:
        groups = tuple((module, rate) for module in self.student.trained().values())
        return Phase(name, steps, groups, warmup=min(150, steps), decay_share=decay_share)

    def _run(
        self,
        phase: Phase,
        asked: Callable[[int, Scene, np.random.Generator], list[Dialogue]],
        aided: float,
        cache: SceneCache,
        sources: Sequence[NDArray[np.float16]],
        folder: Path,
        validate: LanguageValidation,
    ) -> float:
        """A phase that asks `asked` on each scene of a batch, with the family's aid in steps before `aided`."""
        settings = self.settings.language

        def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
            rng = generator(self.settings.seed, phase.name, step)
            chosen = sorted(rng.integers(len(cache.scenes), size=settings.batch).tolist())
            dialogues = [asked(step, cache.scenes[i], rng) for i in chosen]
            seen = (
                [sources[int(rng.integers(len(sources)))][i] for i in chosen]
                if len(sources) > 1
                else [sources[0][i] for i in chosen]
            )
            with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=settings.bfloat16):
                visual = self.read(seen)
                found = self.student.predict(visual, dialogues)
            logits = found.logits.float()
            loss = nn.functional.cross_entropy(logits, found.targets)
            if step < aided:
                loss = loss + settings.alignment_weight * self.student.aid(visual.float(), cache, chosen, rng)
            values = {"token": float((logits.argmax(-1) == found.targets).float().mean())}
            if settings.state_bound:
                sizes = torch.stack([state.float().square().mean(-1).sqrt() for state in found.states])
                loss = loss + _BOUND_WEIGHT * (sizes - settings.state_bound).clamp_min(0).square().mean()
                values |= {f"size {layer}": float(size) for layer, size in enumerate(sizes.detach().flatten(1).mean(1))}
            return loss, values

        def report(step: int, values: dict[str, float]) -> None:
            log.info("%s %d %s", phase.name, step, {k: round(v, 3) for k, v in values.items()})
            if step % 500 == 0 or step == phase.steps:
                scores = validate.scores(self, held_out=False)
                log.info("validation %d %s", step, {k: round(v, 1) for k, v in scores.items()})

        return run_phase(phase, dict(self.student.trained()), loss_of, folder, 100, report)


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
        """Percent of questions whose every answer token is right, by form; counts also by their true number.

        `turn k` is that of existence questions as turn k of a dialogue, whose turns ask for different classes.
        """
        right: dict[str, list[bool]] = defaultdict(list)
        for start in range(0, self.images, 10):
            chosen = range(start, min(self.images, start + 10))
            asked = [self._ask(self._PLAN, i, held_out) for i in chosen]
            for lesson, _, correct in self._marked(trainer, chosen, [alone(of_image) for of_image in asked]):
                right[lesson.form].append(correct)
                if lesson.form == "count":
                    right[f"count/{lesson.answer}"].append(correct)
            turns = [[self._dialogue(i, held_out)] for i in chosen]
            for _, turn, correct in self._marked(trainer, chosen, turns):
                right[f"turn {turn}"].append(correct)
        return {form: 100 * float(np.mean(values)) for form, values in sorted(right.items())}

    def _ask(self, plan: dict[str, int], scene: int, held_out: bool) -> list[Lesson]:
        return lessons(self.cache.scenes[scene], plan, 0.0, generator(self.seed, "validate", scene), held_out)

    def _dialogue(self, scene: int, held_out: bool) -> Dialogue:
        """Existence of different classes; four times as many questions are drawn, so that enough are different."""
        asked = self._ask({"existence": 4 * MOST_TURNS}, scene, held_out)
        return tuple({lesson.noun: lesson for lesson in asked}.values())[:MOST_TURNS]

    def _marked(
        self, trainer: LanguageTrainer, chosen: Sequence[int], dialogues: Sequence[Sequence[Dialogue]]
    ) -> Iterator[tuple[Lesson, int, bool]]:
        """Every lesson with its turn, from 1, and whether all of its tokens are right."""
        with torch.inference_mode():
            seen = [self.features[i] for i in chosen]
            found = trainer.student.predict(trainer.read(seen), dialogues)
        wrong = found.logits.argmax(-1) != found.targets
        missed = set(zip(found.image[wrong].tolist(), found.lesson[wrong].tolist(), strict=True))
        for image, of_image in enumerate(dialogues):
            flat = [(lesson, turn) for dialogue in of_image for turn, lesson in enumerate(dialogue, start=1)]
            for number, (lesson, turn) in enumerate(flat):
                yield lesson, turn, (image, number) not in missed
