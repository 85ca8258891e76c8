"""What answers depend on, in one place: the fingerprints of cells, the stages of DVC and `plan` all read it from here.

The stage `write_manifests` runs first in every `dvc repro` and writes it down; any change, be it to weights
wherever they are, a package, code or settings, changes a file that later stages name as a dependency. Pictures and
texts are not here: DVC sees their tables, and a cell's fingerprint holds the digest of its own.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pruneproof import pruning, registry
from pruneproof.answering.sources import closure, syntax
from pruneproof.backbones.checkpoints.weights import weights
from pruneproof.benchmarks import input_files
from pruneproof.digests import Digests, remembered
from pruneproof.errors import PruneProofError
from pruneproof.files import digest, write_json
from pruneproof.folders import Folders
from pruneproof.settings import BackboneSettings, MethodSettings, Study

PACKAGES = (
    "torch", "torchvision", "transformers", "tokenizers", "safetensors", "open_clip_torch", "timm", "numpy", "pillow",
    "jinja2", "ftfy", "regex", "sentencepiece",
)  # fmt: skip
"""Distributions that take part in an answer: models, image processors, tokenizers, chat templates."""

WITHOUT = frozenset(
    f"pruneproof.{name}"
    for name in (
        "settings",  # their values are in the manifest
        "records",  # schemas, which the store compares
        "answering.store",
        "digests",
        "errors",
        "files",
        "stored",  # where the pictures are; a cell's fingerprint holds their digests
        "machine",  # speed
        "backbones.checkpoints.memory",  # refuses, or does nothing
        "backbones.clip.patch_boxes",  # of scores and figures
    )
)
"""Modules that no answer depends on, although the answering code imports them. What decides which questions are asked
is not imported by it: a cell's fingerprint holds the questions."""

_ELSEWHERE = ("checkpoint", "revision", "text_tower", "control_text_tower", "methods", "prompt", "answer_conversion")
"""Settings of a backbone that are not among those of its answers: where weights are, which have digests of their own;
the name of a prompt, whose values the others hold; and what is done to an answer afterwards."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the answers of one backbone depend on."""

    packages: Mapping[str, str]
    """Versions, Python's among them."""
    weights: Mapping[str, Any]
    """Digests of files or pinned names; see `checkpoints.weights`."""
    backbone: Mapping[str, Any]
    """Its settings, except where its weights are."""
    seed: int
    """Of the study."""
    vision: Mapping[str, str]
    """Digests of the modules that encode images."""
    sources: Mapping[str, str]
    """Digests of the modules that answer, methods apart."""
    methods: Mapping[str, Mapping[str, Any]]
    """By id in the study: `settings`, digest of `weights` that it brings, and `sources` that no other method needs."""
    tables: Mapping[str, str]
    """Digests of all modules of the stage: what is asked, and how answers become tables. No cell depends on them."""

    def base(self, method: str) -> str:
        """Digest of what all cells of a method share."""
        return _digest(self.packages, self.weights, self.backbone, self.seed, self.sources, self.methods[method])

    @property
    def encoder(self) -> str:
        """Digest of what an encoded image depends on besides its pixels."""
        read = {key: self.backbone[key] for key in ("dtype", "pixels")}
        return _digest(self.packages, self.weights, read, self.vision)


def of_backbone(study: Study, folders: Folders, backbone: str, digests: Digests) -> Manifest:
    """The manifest of one backbone.

    Raises:
        PruneProofError: if its weights are missing or must not be read.
    """
    settings = study.backbones[backbone]
    family = f"pruneproof.backbones.families.{settings.family}"
    features, answers = "pruneproof.answering.features", "pruneproof.answering.answerer"
    shared = _sources(digests, answers, family, without=WITHOUT)
    return Manifest(
        packages=packages(),
        weights=weights(settings, folders.study / study.study.root, digests),
        backbone=_settings(settings),
        seed=study.study.seed,
        vision=_sources(digests, features, family, without=WITHOUT),
        sources=shared,
        methods={
            name: {
                "settings": chosen.model_dump(exclude_defaults=True),
                "weights": _brought(chosen, folders.study / study.study.root, digests),
                "sources": _sources(digests, f"pruneproof.pruning.{chosen.method}", without={*WITHOUT, *shared}),
            }
            for name, chosen in study.methods_of(backbone).items()
        },
        tables=_sources(digests, "pruneproof.answering.stage", *_perturbations()),
    )


def run(study: Study, folders: Folders) -> None:
    """Write `manifests/`: `answers/<backbone>.json`, and what the stages before and beside answering depend on.

    Raises:
        PruneProofError: if weights, or a file that the benchmark declares, are missing or must not be read.
    """
    root = folders.study / study.study.root
    with remembered(folders.cells / "digests.json") as digests:
        for backbone in study.backbones:
            write_json(folders.manifest_of(backbone), asdict(of_backbone(study, folders, backbone, digests)))
        named = {name: _settings(chosen) for name, chosen in study.backbones.items()}
        loaded = {name: weights(chosen, root, digests) for name, chosen in study.backbones.items()}
        families = [f"pruneproof.backbones.families.{chosen.family}" for chosen in study.backbones.values()]
        methods = [f"pruneproof.pruning.{chosen.method}" for chosen in study.methods.values()]
        shared = {"packages": packages(), "weights": loaded, "backbones": named}
        costs = _sources(digests, "pruneproof.answering.costs", *families, *methods)
        brought = {name: _brought(chosen, root, digests) for name, chosen in study.methods.items()}
        write_json(folders.manifests / "costs.json", {**shared, "sources": costs, "brought": brought})
        patches = _sources(digests, "pruneproof.answering.patches", *families)
        write_json(folders.manifests / "patches.json", {**shared, "sources": patches})
        read = input_files(study.benchmark, folders.study)
        files = {os.path.relpath(path, folders.study): digests.of(path) for path in read}
        write_json(folders.manifests / "benchmark.json", {"files": files})


@cache
def packages() -> dict[str, str]:
    """Versions of what takes part in an answer; `none` for what is not installed."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _brought(chosen: MethodSettings, root: Path, digests: Digests) -> str:
    """Digest of the file that a method brings; empty for none.

    Raises:
        PruneProofError: if the file cannot be read.
    """
    name = pruning.load(chosen).signals.weights
    if not name:
        return ""
    try:
        return digests.of(root / name)
    except OSError as error:
        why = f"cannot be read ({error.strerror}): restore the file"
        raise PruneProofError(f"the method's weights {root / name} {why}") from error


def _perturbations() -> list[str]:
    """Their modules, which are found by name; they say which conditions there are."""
    rooms = ("pruneproof.perturbations.images", "pruneproof.perturbations.text")
    return [f"{room}.{name}" for room in rooms for name in registry.module_names(room)]


def _settings(backbone: BackboneSettings) -> dict[str, Any]:
    return backbone.model_dump(exclude=set(_ELSEWHERE))


def _sources(digests: Digests, *roots: str, without: frozenset[str] | set[str] = frozenset()) -> dict[str, str]:
    return {name: digests.of(path, syntax) for name, path in closure(roots, without).items()}


def _digest(*facts: Any) -> str:
    return digest(json.dumps(facts, sort_keys=True).encode())
