"""What is asked together, and how a question is put to a checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pruneproof.backbones import History
from pruneproof.files import digest
from pruneproof.settings import BackboneSettings
from pruneproof.stored import Held, NoPictureError

if TYPE_CHECKING:
    from pruneproof.records import Condition
    from pruneproof.stored import Stored

_BLIP_MARKS = re.compile(r"[.!\"()*#:;~]")
_BLIP_WORDS = 50


@dataclass(frozen=True, slots=True)
class Question:
    """One text asked once, for all samples and conditions that ask it of the same picture."""

    text: str
    """The question as perturbed."""
    caption: bool
    history: History = ()
    """Earlier turns of the dialogue."""
    selecting: str = ""
    """The question that a method selects tokens by; empty for this one."""


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image as a condition shows it, and what is asked on it."""

    image_id: str
    picture: Stored
    """Where it is; `held` reads it."""
    questions: tuple[Question, ...]
    clean: Stored | None = None
    """The clean original, where methods are to look at it instead; None where they look at `picture`."""

    @property
    def png(self) -> bytes:
        """The picture's bytes; read each time, unless the picture is held."""
        return self.picture.read()

    def held(self) -> AskedImage:
        """The same in memory; raises as `Stored.read` does."""
        clean = None if self.clean is None else Held(self.clean.read())
        return replace(self, picture=Held(self.picture.read()), clean=clean)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images under one condition: the unit of work and, for each method, of storage."""

    condition: Condition
    """The first one that asks these questions."""
    images: tuple[AskedImage, ...]

    @property
    def shown(self) -> str:
        """What was done to the pictures: the id of an image condition, else `clean`.

        Reworded questions and dialogues are asked of the clean pictures.
        """
        return self.condition.condition_id if self.condition.family == "image" else "clean"

    @property
    def content(self) -> str:
        """Digest of everything in the batch that an answer can depend on: the pictures' own digests (none is read),
        texts, and what was said before."""
        parts = [self.shown]
        for image in self.images:
            asked = [[q.text, q.caption, q.history, q.selecting] for q in image.questions]
            clean = image.clean.digest if image.clean else ""
            parts += [image.image_id, image.picture.digest, json.dumps(asked), clean]
        return digest(*(part.encode(errors="surrogatepass") for part in parts))

    @property
    def count(self) -> int:
        """Number of its questions."""
        return sum(len(image.questions) for image in self.images)

    def held(self) -> tuple[Batch, Mapping[int, str]]:
        """The batch with its pictures in memory, and the reasons by number of those that cannot be made.

        Raises:
            PruneProofError: if a picture is missing or has changed.
        """
        images: list[AskedImage] = []
        lacking: dict[int, str] = {}
        for number, image in enumerate(self.images):
            try:
                images.append(image.held())
            except NoPictureError as error:
                lacking[number] = f"image {image.image_id}: {error}"
        return replace(self, images=tuple(images)), lacking


def prompt_text(question: Question, settings: BackboneSettings) -> str:
    """What is put into the chat template: the question in the checkpoint's form with its suffix, or its own caption
    prompt."""
    if question.caption:
        return settings.caption_prompt or question.text
    return _put(question.text, settings)


def prompt_history(question: Question, settings: BackboneSettings) -> History:
    """Earlier turns, their questions in the same form and with the suffix too."""
    return tuple((_put(asked, settings), answer) for asked, answer in question.history)


def _put(text: str, settings: BackboneSettings) -> str:
    formed = _blip(text) if settings.question_form == "blip" else text
    return f"{formed}\n{settings.question_suffix}" if settings.question_suffix else formed


def _blip(text: str) -> str:
    """Source: salesforce/LAVIS 506965b `lavis/processors/blip_processors.py::BlipQuestionProcessor.pre_question`."""
    words = _BLIP_MARKS.sub("", text.lower()).rstrip(" ").split(" ")
    return " ".join(words[:_BLIP_WORDS])
