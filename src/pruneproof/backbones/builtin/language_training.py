"""Training of the projector and the language model on the frozen tower's features, which are computed once.

No visual token is ever dropped here: pruning stays training-free.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pruneproof.backbones.builtin.corpus import lessons
from pruneproof.backbones.builtin.packing import Packed, pack, packed_mask
from pruneproof.backbones.builtin.phases import Phase, run_phase
from pruneproof.backbones.builtin.scene_cache import SceneCache
from pruneproof.backbones.builtin.settings import LanguageSettings, TrainingSettings
from pruneproof.benchmarks.scenes.vocabulary import BY_NAME, COLOURS, NOUN_NAMES
from pruneproof.seeds import generator

log = logging.getLogger(__name__)

PREFIX = 257
"""`<s>` and 256 visual tokens."""

_PLAN = {"existence": 7, "colour": 3, "count": 5, "relation": 6, "side": 2, "compositional": 2}
_ALIGNMENT_TEMPERATURE = 0.1
"""Of the cosine between patch and word: the language model normalises every token first, so only directions count."""

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
    left = (settings.short_until - step) / (settings.short_until - settings.short_only)
    return _PLAN | {
        "short": round(_SHORT * max(0.0, left)),
        "short_count": _SHORT_COUNT,
        "caption": int(step % 4 == 0),
    }


class LanguageTrainer:
    """Trains the projector, the language model and its head."""

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerFast,
        settings: TrainingSettings,
        device: str,
    ) -> None:
        self.model, self.tokenizer, self.settings, self.device = model.to(device), tokenizer, settings, device
        forms = [(noun.name, noun.plural) for noun in (BY_NAME[name] for name in NOUN_NAMES)]
        self._noun_ids = [[self._ids(form) for form in pair] for pair in forms]
        self._colour_ids = [self._ids(colour) for colour in COLOURS]

    def _ids(self, word: str) -> list[int]:
        ids: list[int] = self.tokenizer(word, add_special_tokens=False).input_ids
        return ids

    def logits(self, features: Tensor, packed: Packed) -> tuple[Tensor, Tensor, Tensor]:
        """Logits where a token is to be predicted.

        Args:
            features: [B, 256, width] patch features of the last layer but one.
            packed: the questions.

        Returns:
            Logits [T, vocabulary], targets [T], and the projected patches [B, 256, width of the language model].
        """
        inner = self.model.model
        language = inner.language_model
        packed = packed.to(self.device)
        visual = inner.multi_modal_projector(features.to(self.device))
        first = language.embed_tokens.weight[self.tokenizer.bos_token_id].expand(len(visual), 1, -1)
        embeddings = torch.cat([first, visual, language.embed_tokens(packed.ids)], dim=1)
        prefix = torch.arange(PREFIX, device=self.device).expand(len(visual), -1)
        allowed = packed_mask(packed.segments, PREFIX)
        mask = torch.zeros(allowed.shape, device=self.device).masked_fill_(~allowed, torch.finfo(torch.float32).min)
        states = language(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=torch.cat([prefix, packed.positions], dim=1),
            use_cache=False,
        ).last_hidden_state[:, PREFIX:]
        asked = packed.targets >= 0
        return self.model.lm_head(states[asked]), packed.targets[asked], visual

    def _embedded(self, ids: list[list[int]]) -> Tensor:
        table = self.model.model.language_model.embed_tokens.weight
        return torch.stack([table[torch.tensor(tokens, device=self.device)].mean(0) for tokens in ids])

    def _alignment(self, visual: Tensor, nouns: Tensor, colours: Tensor, rng: np.random.Generator) -> Tensor:
        """The alignment aid: a projected patch that shows one class is near the embedding of its singular or plural."""
        form = int(rng.integers(2))
        loss = torch.zeros((), device=self.device)
        for truth, table in ((nouns, [pair[form] for pair in self._noun_ids]), (colours, self._colour_ids)):
            truth = truth.to(self.device)
            one = truth.sum(-1) == 1
            patches, words = (nn.functional.normalize(v, dim=-1) for v in (visual[one], self._embedded(table)))
            scores = patches @ words.T / _ALIGNMENT_TEMPERATURE
            loss = loss + nn.functional.cross_entropy(scores, truth[one].argmax(-1))
        return loss

    def train(
        self, cache: SceneCache, features: NDArray[np.float16], folder: Path, validate: LanguageValidation
    ) -> float:
        """Run the language phase on the model (a `LlavaForConditionalGeneration`); returns its seconds."""
        settings = self.settings.language
        total = settings.steps

        def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
            rng = generator(self.settings.seed, "language", step)
            chosen = np.sort(rng.integers(len(features), size=settings.batch))
            plan = lesson_plan(step, settings)
            asked = [lessons(cache.scenes[i], plan, settings.noise, rng) for i in chosen]
            batch = torch.from_numpy(np.stack([features[i, 1:] for i in chosen])).float()
            packed = pack(self.tokenizer, asked, PREFIX)
            logits, targets, visual = self.logits(batch, packed)
            loss = nn.functional.cross_entropy(logits, targets)
            if step < settings.alignment_share * total:
                nouns, colours = (
                    torch.from_numpy(np.stack([array[i] for i in chosen])).float()
                    for array in (cache.nouns, cache.colours)
                )
                loss = loss + settings.alignment_weight * self._alignment(visual, nouns, colours, rng)
            return loss, {"token": float((logits.argmax(-1) == targets).float().mean())}

        def report(step: int, values: dict[str, float]) -> None:
            log.info("language %d %s", step, {k: round(v, 3) for k, v in values.items()})
            if step % 500 == 0 or step == total:
                scores = validate.scores(self, held_out=False)
                log.info("validation %d %s", step, {k: round(v, 1) for k, v in scores.items()})

        inner = self.model.model
        modules = {
            "projector": inner.multi_modal_projector,
            "language": inner.language_model,
            "head": self.model.lm_head,
        }
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
            packed = pack(trainer.tokenizer, asked, PREFIX)
            with torch.inference_mode():
                batch = torch.from_numpy(np.stack([self.features[i, 1:] for i in chosen])).float()
                logits, targets, _ = trainer.logits(batch, packed)
            hits = (logits.argmax(-1) == targets).tolist()
            rows, columns = (packed.targets >= 0).nonzero(as_tuple=True)
            per_segment: dict[tuple[int, int], bool] = {}
            for hit, row, number in zip(hits, rows.tolist(), packed.segments[rows, columns].tolist(), strict=True):
                per_segment[row, number] = per_segment.get((row, number), True) and hit
            for (row, number), correct in per_segment.items():
                lesson = packed.lessons[row][number - 1]
                right[lesson.form].append(correct)
                if lesson.form == "count":
                    right[f"count/{lesson.answer}"].append(correct)
        return {form: 100 * float(np.mean(values)) for form, values in sorted(right.items())}
