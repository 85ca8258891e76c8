"""The pictures that a study shows, clean and under every image condition; none is read before it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pruneproof.files import read_table
from pruneproof.folders import Folders
from pruneproof.perturbations.images._made import Made
from pruneproof.perturbations.images._pictures import StoredPicture, read_pictures, read_stored
from pruneproof.perturbations.images._store import fingerprint, versions
from pruneproof.records import Condition
from pruneproof.settings import Study
from pruneproof.stored import InTable, Stored


@dataclass(frozen=True)
class Gallery:
    """The pictures of one study, which `draw_scenes` and `corrupt_images` have left."""

    study: Study
    folders: Folders

    @cached_property
    def clean(self) -> Mapping[str, Stored]:
        """By image id, in the order of the benchmark.

        Raises:
            PruneProofError: if a table is missing or damaged.
        """
        return read_pictures(self.folders)

    def under(self, condition: Condition) -> Mapping[str, Stored | None]:
        """As a condition shows them; None where it is known that there is no such picture.

        Raises:
            PruneProofError: if a table is missing or damaged.
        """
        if condition.family != "image":
            return self.clean
        settings, seed = self.study.perturbations.image, self.study.study.seed
        if settings.stored:
            path = self.folders.corrupted / f"{condition.condition_id}.parquet"
            rows = read_table(path, ["image_id", "sha256"]).to_pydict()
            known = enumerate(zip(rows["image_id"], rows["sha256"], strict=True))
            return {image_id: InTable(path, row, sha256) if sha256 else None for row, (image_id, sha256) in known}
        recipe = fingerprint(condition, seed, settings, "", versions())
        side = settings.model_pixels if settings.resolution == "model" else None
        return {one.image_id: Made(condition, one, seed, side, recipe) for one in self._originals}

    @cached_property
    def _originals(self) -> list[StoredPicture]:
        return read_stored(self.folders)
