"""Corrupted pictures that are made whenever they are asked for, instead of being stored."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from pruneproof.files import digest
from pruneproof.perturbations.images._pictures import StoredPicture
from pruneproof.records import Condition
from pruneproof.stored import Stored


@dataclass(frozen=True, slots=True)
class Made:
    """A picture under an image condition; implements `Stored` with the bytes that the stage would have stored."""

    condition: Condition
    original: StoredPicture
    study_seed: int
    model_pixels: int | None
    recipe: str
    """`_store.fingerprint` of the condition without its inputs: settings, versions and code."""

    @property
    def digest(self) -> str:
        """Of everything that it is made from, since its own bytes do not exist yet."""
        masks = [list(one) if isinstance(one, tuple) else one.digest for one in self.original.masks]
        parts = (self.recipe, self.original.image_id, self.original.picture.digest, json.dumps(masks))
        return digest(*(part.encode(errors="surrogatepass") for part in parts))

    def read(self) -> bytes:
        """Make it; see `_work.make`."""
        from pruneproof.perturbations.images._work import make

        return make(self.condition, self.original, self.study_seed, self.model_pixels)

    def carried(self) -> Stored:
        """The same with its original in memory: it is made where it is read."""
        return replace(self, original=self.original.held())
