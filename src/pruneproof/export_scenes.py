"""The command `export_scenes`: a study's scenes as the files of a published benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pruneproof import registry
from pruneproof.benchmarks import build
from pruneproof.errors import PruneProofError
from pruneproof.exporting import Export
from pruneproof.files import write_bytes
from pruneproof.plurals import number_of
from pruneproof.settings import FEWEST, BenchmarkSettings
from pruneproof.study import load_study


def report(study_folder: Path, form: str, to: Path) -> Export:
    """Draw the scenes that the study asks about, write them, and print how a study reads them.

    Args:
        study_folder: has the params.yaml whose number of images, seed and options are taken.
        form: a member of `pruneproof.exporting`.
        to: a folder that is new, empty, or holds an earlier export of the same pictures.

    Raises:
        PruneProofError: if the study is not about scenes, there is no such format, or the folder holds anything else.
    """
    study = load_study(study_folder)
    name = study.benchmark.name
    if name != "scenes":
        raise PruneProofError(
            f"{study_folder / 'params.yaml'}: benchmark.name is {name!r}, but only scenes are exported"
        )
    member = registry.load_module("pruneproof.exporting", form, "format", ("READERS", "export"))
    scenes = build(study.benchmark, study.study.seed, study_folder)
    made: Export = member.export(scenes)
    _require_free(to, made.files)
    try:
        for path, content in made.files.items():
            write_bytes(to / path, content)
    except FileNotFoundError as error:  # of a folder in which none can be made, such as /proc
        raise PruneProofError(f"--to is {to}: no folder can be made there ({error.strerror})") from None
    kinds = dict.fromkeys(sample.kind for sample in scenes.samples)
    without = [kind for kind in kinds if kind not in {sample.kind for sample in made.samples}]
    left_out = f"; left out: {', '.join(without)}" if without else ""
    print(
        f"{to}: {number_of(len(scenes.images), 'picture')} and {number_of(len(made.samples), 'question')} as "
        f"{form}{left_out}"
    )
    print("In the params.yaml of a study on them:")
    for reader, options in member.READERS.items():
        print(f"  {_settings(reader, to.resolve(), options, study.study.seed)}")
    return made


def _require_free(folder: Path, wanted: Iterable[str]) -> None:
    """Nothing in the folder but what is written now: readers take a folder's every picture for their own."""
    if folder.is_dir():
        known = {folder / path for path in wanted}
        for path in sorted(folder.rglob("*")):
            if path not in known and not path.is_dir():
                raise PruneProofError(
                    f"--to is {folder}, which holds {path.relative_to(folder)}, no file of this export: name a new or "
                    "an empty folder"
                )


def _settings(reader: str, folder: Path, options: Mapping[str, Any], seed: int) -> str:
    """What has a study read the files. A reader may leave pictures out, such as those without a question of its kind,
    so that it is asked how many there are for it."""
    settings = BenchmarkSettings(name=reader, images=None, folder=str(folder), options=dict(options))
    try:
        images = len(build(settings, seed, folder).images)
    except PruneProofError as error:
        return f"# {reader} cannot be asked: {'; '.join(str(error).splitlines())}"
    if images < FEWEST:
        return f"# {reader} cannot be asked: of these pictures it takes {images}, and a study needs {FEWEST}; draw more"
    said = ", ".join(f"{name}: {value}" for name, value in options.items())
    end = f", options: {{{said}}}" if said else ""
    return f"benchmark: {{name: {reader}, images: {images}, folder: {json.dumps(str(folder))}{end}}}"
