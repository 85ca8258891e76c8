"""Finished conditions by fingerprint, outside the stage's output: neither a kill nor DVC's clearing loses them."""

from __future__ import annotations

import inspect
import json
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pruneproof import pictures, seeds
from pruneproof.files import abandoned, digest, digest_files, replacing, sha256, write_text
from pruneproof.perturbations import images
from pruneproof.perturbations.images import perturbation
from pruneproof.records import CORRUPTED, Condition
from pruneproof.settings import ImagePerturbationSettings
from pruneproof.stored import write_pictures

_DISTRIBUTIONS = {
    "imagecorruptions": ("imagecorruptions-imaug", "imagecorruptions"),
    "numpy": ("numpy",),
    "opencv": ("opencv-python-headless", "opencv-python"),
    "pillow": ("pillow",),
    "scipy": ("scipy",),
}
"""What the pixels are computed by, and the distributions that provide it."""


def versions() -> dict[str, str]:
    """Distribution and version of everything the pixels are computed by."""
    return {package: _installed(names) for package, names in _DISTRIBUTIONS.items()}


def _installed(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "not installed"


def fingerprint(
    condition: Condition,
    study_seed: int,
    settings: ImagePerturbationSettings,
    inputs: str,
    packages: Mapping[str, str],
) -> str:
    """Digest of everything that can change the images of one condition.

    Args:
        condition: The perturbation and its severity.
        study_seed: The study's seed.
        settings: The resolution policy is read from it.
        inputs: Digest of the benchmark's images and objects; empty where each picture's own is added to this one.
        packages: What `versions` returns.
    """
    facts = {
        "perturbation": condition.perturbation,
        "severity": condition.severity,
        "seed": study_seed,
        "model_pixels": settings.model_pixels if settings.resolution == "model" else None,
        "inputs": inputs,
        "packages": dict(packages),
        "code": _code(condition.perturbation),
    }
    return digest(json.dumps(facts, sort_keys=True).encode())


def _code(name: str) -> str:
    """Digest of the source of a perturbation and of what every perturbation passes through."""
    own = Path(inspect.getfile(inspect.getmodule(perturbation(name))))  # type: ignore[arg-type]
    # By path and not by name: importing what computes the pixels takes seconds.
    shared = sorted(Path(images.__file__).parent.glob("_*.py"))
    return digest_files([own, *shared, Path(pictures.__file__), Path(seeds.__file__)])


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of `<fingerprint>.parquet`, each with the SHA-256 of its content beside it."""

    folder: Path

    def path(self, key: str) -> Path:
        """Where the condition of that fingerprint is, or will be."""
        return self.folder / f"{key}.parquet"

    def holds(self, key: str) -> bool:
        """Whether the condition is there and still is as it was put there.

        The stage's output may be a hard link to it, so a program that writes into the output writes into the store.
        """
        path, note = self.path(key), self._note(key)
        return path.is_file() and note.is_file() and note.read_bytes() == sha256(path).encode()

    def digest(self, key: str) -> str:
        """SHA-256 of a condition that is held, as its note says."""
        return self._note(key).read_text(encoding="utf-8")

    def put(self, key: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a condition as its rows come, and then the note that makes it count."""
        write_pictures(self.path(key), rows, CORRUPTED)
        write_text(self._note(key), sha256(self.path(key)))

    def keep_only(self, keys: Collection[str]) -> None:
        """Remove everything else, so that the store never holds more than one study's images."""
        for path in self.folder.glob("*"):
            # What is half written may be another run's, which is writing it.
            if abandoned(path.name) if path.suffix == ".part" else path.stem not in keys:
                path.unlink(missing_ok=True)

    def _note(self, key: str) -> Path:
        return self.folder / f"{key}.sha256"


def publish(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link where the file system allows one, else a copy."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
