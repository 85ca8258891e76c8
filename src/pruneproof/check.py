"""`check`: is everything that a study needs in place, and if not, what to do."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Literal

from pruneproof import benchmarks, fetching, machine, pipeline, published, ray_cluster, space
from pruneproof.backbones.checkpoints.headers import safetensors_fault
from pruneproof.backbones.checkpoints.kinds import local_fault
from pruneproof.backbones.checkpoints.weights import locate, require_tower
from pruneproof.benchmarks import input_files
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders, make_command
from pruneproof.plurals import number_of
from pruneproof.reading_sizes import resolution_notes
from pruneproof.scoring.captions import java
from pruneproof.settings import BackboneSettings, Study
from pruneproof.settings_file import read_yaml
from pruneproof.study import load_study
from pruneproof.tracking import address, database, drivers

BROUGHT_BY_LOCK = ("torch", "transformers", "open_clip", "imagecorruptions", "nlpaug", "mlflow", "matplotlib", "dvc")
"""Imported to check that they work: each has native parts that an installer does not test."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked, and its state."""

    state: Literal["ok", "note", "fault"]
    what: str
    detail: str
    """The state; for a fault, also what to do."""


def report(folder: Path, *, quick: bool = False) -> int:
    """Print the findings; with `quick`, only those that need no heavy import and are not `ok`.

    Returns:
        0 if there is no fault, else 2.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    marks = {"ok": "[green]ok[/]     ", "note": "[yellow]note[/]   ", "fault": "[red]fault[/]  "}
    faults = 0
    for finding in findings(folder, quick=quick):
        faults += finding.state == "fault"
        if not quick or finding.state != "ok":
            console.print(f"{marks[finding.state]}  {finding.what}: {escape(finding.detail)}")
    if not quick and not faults:
        repro, plan = make_command("repro", folder), make_command("plan", folder)
        console.print(f"Everything is in place: `{repro}` runs the study, `{plan}` says how long it takes.")
    return 2 if faults else 0


def findings(folder: Path, *, quick: bool = False) -> Iterator[Finding]:
    """Every finding about a study's folder, one at a time."""
    try:
        study = load_study(folder)
    except PruneProofError as error:
        yield Finding("fault", "settings", str(error))
        return
    yield from _without_denied(chain(_pipeline(folder, quick=quick), [_settings(study, folder)]))
    root = folder / study.study.root
    yield from _machine(quick=quick)
    yield from _benchmark(study, folder, quick=quick)
    yield from _weights(study, root)
    for name, note in fetching.prompt_notes(study.backbones, study.benchmark.name):
        yield Finding("note", f"prompt of {name}", note)
    for name, note in resolution_notes(study, Folders(folder)):
        yield Finding("note", f"backbone {name}", note)
    yield _disk(study, Folders(folder))
    yield _tracking(folder)
    if not quick:
        yield from _expected(study, Folders(folder))
        yield from _tables(Folders(folder))
        yield from _packages(root)


def _without_denied(found: Iterable[Finding]) -> Iterator[Finding]:
    """Findings without an `ok` for what has a fault as well."""
    told = tuple(found)
    faulty = {one.what for one in told if one.state == "fault"}
    yield from (one for one in told if one.state != "ok" or one.what not in faulty)


def _settings(study: Study, folder: Path) -> Finding:
    """Which study it is, and how large."""
    size = f"{number_of(len(study.backbones), 'backbone')}, {number_of(len(study.methods), 'method')}"
    return Finding("ok", "settings", f"study {study.study.name} in {folder.absolute()}: {size}")


def _pipeline(folder: Path, *, quick: bool) -> Iterator[Finding]:
    """Whether DVC can read and write this study, and read the project's other studies, as it does for every run."""
    for place in (Folders(folder).benchmark.parent, Folders(folder).reports):
        if place.exists() and not place.is_dir():
            yield Finding("fault", place.name, f"{place} is a file, but results need such a folder: move it away")
    lacking = pipeline.absent(folder, read_yaml(folder / "params.yaml")[0])
    if lacking:
        yield Finding("fault", "settings", f"{folder / 'params.yaml'}: {lacking}")
    try:
        root = pipeline.project(folder)
    except PruneProofError as error:
        yield Finding("fault", "project", str(error))
        return
    if root in pipeline.neighbours(folder) and (fault := pipeline.fault(root)):
        yield Finding("fault", "the default study", f"{fault}; DVC reads it for every study, so fix it first")
    if not quick and (broken := pipeline.broken(folder)):
        yield Finding("note", "other studies", f"DVC cannot read {pipeline.left_out(broken)}; this one runs without")


def _machine(*, quick: bool) -> Iterator[Finding]:
    """What the environment asks for; finding out whether an accelerator exists needs torch, and so over a second."""
    told, faults = list[str](), list[str]()
    readings: tuple[Callable[[], str], ...] = (
        lambda: number_of(machine.workers(), "worker"),
        lambda: f"{number_of(machine.batch_size(), 'question')} per batch",
        lambda: f"{machine.feature_bytes()} bytes of features",
        lambda: f"{machine.wanted_device() if quick else _devices()} as device",
        lambda: f"{_engine()} as engine",
    )
    for tell in readings:
        try:
            told.append(tell())
        except PruneProofError as error:
            faults.append(str(error))
    yield from (Finding("fault", "machine", fault) for fault in dict.fromkeys(faults))
    if not faults:
        yield Finding("ok", "machine", ", ".join(told))


def _devices() -> str:
    """What answers; with Ray, whose nodes have them, as it is asked for."""
    return machine.wanted_device() if machine.engine() == "ray" else ",".join(machine.devices())


def _engine() -> str:
    if machine.engine() == "ray":
        return f"ray {ray_cluster.address() or '(of this machine)'}"
    return machine.engine()


def _benchmark(study: Study, folder: Path, *, quick: bool) -> Iterator[Finding]:
    """Whether the files that the benchmark reads are here and the published ones; nothing if it reads none."""
    what = f"benchmark {study.benchmark.name}"
    faults = list(fetching.benchmark_faults(study, folder, quick=quick))
    try:
        if benchmarks.programs(study.benchmark):
            java.require()
    except PruneProofError as error:
        faults.append(str(error))
    yield from (Finding("fault", what, fault) for fault in faults)
    if faults:
        return
    try:
        files = input_files(study.benchmark, folder)
    except PruneProofError as error:
        yield Finding("fault", what, str(error))
        return
    if files:
        yield Finding(
            "ok", what, f"{number_of(len(files), 'file')}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
        )


def _weights(study: Study, root: Path) -> Iterator[Finding]:
    for name, backbone in study.backbones.items():
        yield from _without_denied(chain(_checkpoint(name, backbone, root), _text_towers(name, backbone, root)))


def _checkpoint(name: str, backbone: BackboneSettings, root: Path) -> Iterator[Finding]:
    what = f"backbone {name}"
    try:
        place = Path(locate(backbone, root))
    except PruneProofError as error:
        yield Finding("fault", what, str(error))
        return
    if not place.is_dir():
        cached = fetching.fetched(backbone)
        if cached and (why := local_fault(backbone.family, backbone.checkpoint, cached)):
            yield Finding("fault", what, why)
        elif cached:
            yield Finding("ok", what, f"{backbone.checkpoint} at {backbone.revision} is in the hub's cache")
        else:
            yield Finding("note", what, fetching.checkpoint_source(backbone))
        return
    files = sorted(place.glob("*.safetensors"))
    faults = [f"{file} {fault}" for file in files if (fault := safetensors_fault(file))]
    if faults:
        yield Finding("fault", what, "; ".join(faults))
    else:
        size = sum(file.stat().st_size for file in files)
        yield Finding("ok", what, f"{number_of(len(files), 'weight file')}, {size / 1e6:.1f} MB")


def _text_towers(name: str, backbone: BackboneSettings, root: Path) -> Iterator[Finding]:
    """What is wrong with the CLIP models that the settings name; nothing for those that are intact."""
    for key in ("text_tower", "control_text_tower"):
        tower, tag = getattr(backbone, key), getattr(backbone, f"{key}_pretrained")
        if tower is None:
            continue
        what, folder = f"backbone {name}", root / tower
        if folder.is_dir():
            weights = sorted(folder.glob("*.safetensors"))
            faults = [f"{file} {fault}" for file in weights if (fault := safetensors_fault(file))]
            try:
                require_tower(folder, key)
            except PruneProofError as error:
                faults.append(str(error))
            if not (folder / "open_clip_config.json").is_file():
                faults.append(f"{folder} has no open_clip_config.json: it must be a folder as open_clip saves it")
            if faults:
                yield Finding("fault", what, f"{key}: {'; '.join(faults)}")
        elif tag is None:
            detail = f"{key} {tower!r} is not a folder ({folder}), and a published one needs {key}_pretrained"
            yield Finding("fault", what, detail)
        else:
            yield Finding("note", what, f"{key} {fetching.tower_source(tower, tag)}")


def _expected(study: Study, folders: Folders) -> Iterator[Finding]:
    """Memory that published weights take; nothing for others, which are small or seen when they are loaded."""
    known = [name for name, backbone in study.backbones.items() if backbone.checkpoint in published.CHECKPOINTS]
    if not known:
        return
    from pruneproof.planning.estimate import memories

    hours = f"`{make_command('plan', folders.study)} MACHINE=h100` says how long it runs, and on which other machines"
    for name, memory in memories(study, folders).items():
        if name in known:
            yield Finding("note", f"estimate for {name}", f"{memory.told}; {hours}")


def _disk(study: Study, folders: Folders) -> Finding:
    try:
        needed, free = space.needed(study, folders), space.free(folders.study)
    except PruneProofError as error:
        return Finding("fault", "disk", str(error))
    detail = f"{space.size(free)} free, about {space.size(needed)} needed"
    if fetched := fetching.left_bytes(study, folders.study):
        detail += f", and {space.size(fetched)} for what is to be fetched, wherever that is kept"
    if free < needed:
        return Finding("fault", "disk", f"{detail}: free some space")
    return Finding("ok", "disk", detail)


def _tracking(folder: Path) -> Finding:
    """A note at most, since MLflow comes last and results are complete without it; but an address that leads nowhere
    wherever it is tried is better corrected before the start."""
    if why := address.misspelt():
        return Finding("fault", "MLflow", why)
    given = address.given()
    if not given:
        path = folder.resolve() / "mlflow.db"
        if why := database.fault(path):
            return Finding("note", "MLflow", f"{why}; until then results stay complete on disk")
        return Finding("ok", "MLflow", f"runs go to {path}")
    shown = address.masked(given)
    if why := drivers.lacking(given):
        return Finding("note", "MLflow", f"{shown} cannot be opened ({why}): until then results stay complete on disk")
    if not address.is_server(given):
        return Finding("ok", "MLflow", f"runs go to {shown}")
    if why := address.server_fault(given, strict=True):
        return Finding(
            "note", "MLflow", f"{shown} does not answer as MLflow would ({why}): results stay complete on disk"
        )
    return Finding("ok", "MLflow", f"{shown} answers")


def _tables(folders: Folders) -> Iterator[Finding]:
    """Whether the tables that exist can be opened; those that do not exist are made by `dvc repro`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    inputs = (folders.benchmark, folders.corrupted, folders.reworded)
    for folder in (*inputs, folders.patches, folders.answers, folders.logits, folders.scores):
        faults = []
        tables = sorted(folder.rglob("*.parquet"))
        for table in tables:
            try:
                pq.ParquetFile(table).close()
            except (pa.ArrowException, OSError):
                faults.append(f"{table} is damaged: delete it and run `dvc repro`")
        if faults:
            yield Finding("fault", f"data/{folder.name}", "; ".join(faults))
        else:
            yield Finding("ok", f"data/{folder.name}", number_of(len(tables), "table") if tables else "not made yet")


def _packages(root: Path) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok" if sys.version_info >= (3, 11) else "fault", "Python", version)
    other = []
    locked = locked_versions(root / "requirements.lock")
    for name, tried in locked.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "none"
        if installed not in tried:
            other.append(f"{name} {installed} (tried: {' or '.join(tried)})")
    if other:
        yield Finding("note", "packages", f"not the tested versions: {', '.join(other)}; `make setup` installs them")
    elif locked:
        yield Finding("ok", "packages", "as in requirements.lock")
    for module in BROUGHT_BY_LOCK:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            yield Finding("fault", module, f"cannot be imported ({error}): run `make setup`")


def locked_versions(path: Path) -> dict[str, list[str]]:
    """The versions that requirements.lock allows on this machine, by distribution; empty if there is no such file."""
    from packaging.requirements import Requirement

    allowed: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                allowed.setdefault(requirement.name, []).append(str(requirement.specifier).removeprefix("=="))
    return allowed
