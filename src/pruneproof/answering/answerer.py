"""Answers one batch with one backbone and one method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from PIL.Image import Image
from torch import Tensor

from pruneproof import backbones
from pruneproof.answering.batch import Batch, Question, prompt_history, prompt_text
from pruneproof.answering.brought import weights_of
from pruneproof.answering.doors import Picture, Seen, Stream, encode, narrowing, replayed, require_budget, show, whole
from pruneproof.answering.features import FeatureStore
from pruneproof.answering.store import CELL
from pruneproof.backbones import Backbone, Reply
from pruneproof.backbones.packing import pack
from pruneproof.errors import of_method
from pruneproof.files import digest
from pruneproof.pictures import read_picture
from pruneproof.pruning.protocol import Method, Signals, VisualTokens, encodes_itself
from pruneproof.records import CLEAN
from pruneproof.seeds import generator
from pruneproof.settings import BackboneSettings

_DECIMALS = 3
"""Logits are stored to this many decimals; the last one may still differ by one (`records.LOGIT_NOISE`)."""


def pruning_stream(study_seed: int, image_id: str, shown: str) -> np.random.Generator:
    """The random stream of a method on one picture, the same for all questions on it.

    Args:
        study_seed: of the study.
        image_id: of the benchmark.
        shown: what was done to the picture (`Batch.shown`). The wording of a question has no influence, so that
            the cost of rewording is not confused with that of drawing other tokens.
    """
    return generator(study_seed, "pruning", image_id, shown)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """One question on one image, and what is seen of it."""

    question: Question
    seen: Seen
    picture: Picture


@dataclass(frozen=True, slots=True)
class Answerer:
    """A loaded backbone."""

    backbone: Backbone
    settings: BackboneSettings
    study_seed: int
    root: Path
    """The project's, to which files that methods bring are relative."""
    features: FeatureStore
    signals: Signals
    """What any method of the study looks at."""

    def encode(self, batch: Batch) -> Sequence[VisualTokens]:
        """The batch's images after the vision tower, for all methods that do not act before its end."""
        return self.features.encode(self.backbone, [image.png for image in batch.images], self.signals)

    def answer(self, batch: Batch, images: Sequence[VisualTokens], method: Method, name: str, base: str) -> pa.Table:
        """Answer every question of a batch.

        Questions are pooled over the batch's images, captions apart, because their answers are long.

        Args:
            batch: the questions, on pictures that are held.
            images: from `encode`.
            method: at any door.
            name: its id in the study.
            base: digest of all that its answers depend on besides the batch.

        Returns:
            A table of schema `store.CELL`, one row per question in the order of the batch.
        """
        others = [(image.clean or image.picture).read() for image in batch.images]
        clean = others if any(image.clean for image in batch.images) else None
        seen_as = CLEAN.condition_id if clean else batch.shown
        streams = [partial(pruning_stream, self.study_seed, image.image_id, seen_as) for image in batch.images]
        looked_at: Sequence[VisualTokens] | None = None
        if encodes_itself(method):
            with of_method(name, method):
                images = self._encode_with(batch, method, streams, base, clean)
        elif clean:
            looked_at = self.features.encode(self.backbone, clean, self.signals)
        rows: dict[tuple[int, int], tuple[_Asked, Reply]] = {}
        with of_method(name, method):
            for caption in (False, True):
                pool = self._see(batch, images, looked_at, method, streams, caption)
                if pool:
                    rows |= zip(pool, self._reply(list(pool.values()), method), strict=True)
            ordered = [rows[key] for key in sorted(rows)]
            for asked, reply in ordered:
                require_budget(self.backbone, method, asked.seen, reply)
        return _table(ordered)

    def _encode_with(
        self, batch: Batch, method: Method, streams: Sequence[Stream], base: str, clean: Sequence[bytes] | None
    ) -> Sequence[VisualTokens]:
        """The batch's images after a vision tower in which a method acts; it looks at those in `clean` instead."""
        drawn = [base, str(self.study_seed), batch.shown, *(image.image_id for image in batch.images)]
        maker = digest(*(part.encode(errors="surrogatepass") for part in drawn), *(clean or ()))

        def make(pictures: Sequence[Image]) -> Sequence[VisualTokens]:
            looked_at = [read_picture(png) for png in clean] if clean else None
            return encode(self.backbone, method, pictures, streams, looked_at)

        return self.features.encode_with(self.backbone, [image.png for image in batch.images], maker, make)

    def _see(
        self,
        batch: Batch,
        images: Sequence[VisualTokens],
        looked_at: Sequence[VisualTokens] | None,
        method: Method,
        streams: Sequence[Stream],
        caption: bool,
    ) -> dict[tuple[int, int], _Asked]:
        """What each question, or each caption, sees; by number of its image and of itself there."""
        chosen = {
            (i, j): question
            for i, image in enumerate(batch.images)
            for j, question in enumerate(image.questions)
            if question.caption == caption
        }
        pictures = {
            i: Picture(
                images[i],
                tuple(q.selecting or q.text for (own, _), q in chosen.items() if own == i),
                streams[i],
                looked_at[i] if looked_at else None,
            )
            for i in sorted({i for i, _ in chosen})
        }
        seen = [one for own in show(self.backbone, method, list(pictures.values())) for one in own]
        return {
            key: _Asked(question, one, pictures[key[0]])
            for (key, question), one in zip(chosen.items(), seen, strict=True)
        }

    def _reply(self, pool: list[_Asked], method: Method) -> Iterable[tuple[_Asked, Reply]]:
        longest = self.settings.max_caption_tokens if pool[0].question.caption else self.settings.max_new_tokens
        questions = [prompt_text(one.question, self.settings) for one in pool]
        histories = [prompt_history(one.question, self.settings) for one in pool]
        weights = weights_of(method, self.root, self.backbone.device)
        inside = narrowing(method, [one.picture.stream for one in pool], weights)
        if inside is not None and pool[0].picture.looked_at is not None:
            inside, watching = replayed(inside)
            pictures = {id(one.picture): one.picture.looked_at or one.picture.tokens for one in pool}
            others = {key: whole(self.backbone, tokens) for key, tokens in pictures.items()}
            self.backbone.answer([others[id(one.picture)] for one in pool], questions, 1, histories, watching)
        shown = [one.seen.shown for one in pool]
        return zip(pool, self.backbone.answer(shown, questions, longest, histories, inside), strict=True)


def _table(answered: list[tuple[_Asked, Reply]]) -> pa.Table:
    replies = [reply for _, reply in answered]
    kept = [_kept(asked.seen, reply).cpu().numpy().astype(np.int16) for asked, reply in answered]
    ends = np.cumsum([0, *(len(row) for row in kept)])
    columns = [
        pa.array([reply.text for reply in replies], pa.string()),
        pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(np.concatenate(kept))),
        pa.array([asked.seen.count for asked, _ in answered], pa.int32()),
        pa.array([reply.visual[0] for reply in replies], pa.int32()),
        pa.array([sum(reply.visual) / len(reply.visual) for reply in replies], pa.float32()),
        pa.array([reply.sequence for reply in replies], pa.int32()),
        pa.array([round(reply.yes_logit, _DECIMALS) for reply in replies], pa.float32()),
        pa.array([round(reply.no_logit, _DECIMALS) for reply in replies], pa.float32()),
        pa.array([""] * len(replies)),
    ]
    return pa.table(columns, schema=CELL)


def _kept(seen: Seen, reply: Reply) -> Tensor:
    """int64 patches that are left at the end, ascending."""
    if reply.left is None:
        return seen.patches
    return seen.patches[torch.tensor(reply.left, dtype=torch.long, device=seen.patches.device)]


def load_answerer(
    backbone: BackboneSettings, study_seed: int, root: Path, device: str, features: FeatureStore, signals: Signals
) -> Answerer:
    """Load everything that answering needs; raises `PruneProofError` as `backbones.load` does."""
    loaded = backbones.load(backbone, root, device)
    pack(loaded.model)
    return Answerer(loaded, backbone, study_seed, root, features, signals)
