"""dvc.yaml: what a stage depends on is declared, no more and no less."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pruneproof.answering import manifest
from pruneproof.cli import STAGES
from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.study import load_study

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "src"
STUDIES = [PROJECT, *sorted(path.parent for path in (PROJECT / "studies").glob("*/params.yaml"))]
PIPELINE: dict[str, dict[str, Any]] = YAML(typ="safe").load(PROJECT / "dvc.yaml")["stages"]
BY_MANIFEST = {"answer_questions": "answers", "locate_patches": "patches.json", "measure_costs": "costs.json"}
"""Stages whose code is listed in a file of data/manifests, which the stage `write_manifests` makes."""
HARMLESS = {"__init__", "allocator", "errors", "folders", "machine", "ray_cluster", "registry", "workers"}
"""Top-level modules that cannot change a result: messages, places, speed, and finding members by name."""
TRAINING = SOURCE / "pruneproof" / "training"
"""Makes weights, which are a dependency of their own; no stage of the pipeline imports it."""


def module_file(name: str) -> Path | None:
    path = SOURCE.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def imported(file: Path) -> Iterator[Path]:
    """Files of this project that a file imports, also inside functions; imports for types alone are left out."""
    tree = ast.parse(file.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pruneproof"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("pruneproof")]
        yield from filter(None, map(module_file, names))


def closure(files: list[Path]) -> set[Path]:
    found: set[Path] = set()
    while files:
        file = files.pop()
        if file not in found:
            found.add(file)
            files += imported(file)
    return found


def code(stage: str) -> list[Path]:
    """The code that a stage declares."""
    prefix = "${study.root}/src/"
    return [SOURCE / dep.removeprefix(prefix) for dep in PIPELINE[stage]["deps"] if dep.startswith(prefix)]


def members(declared: list[Path]) -> list[Path]:
    """Files of the declared rooms: the registry finds them by name, so that no import shows them."""
    return [file for path in declared if path.is_dir() for file in path.rglob("*.py") if TRAINING not in file.parents]


def covered(file: Path, declared: list[Path]) -> bool:
    return any(file == path or path in file.parents for path in declared)


@pytest.mark.parametrize("stage", sorted(set(PIPELINE) - set(BY_MANIFEST)))
def test_everything_a_stage_imports_is_declared(stage: str) -> None:
    declared = code(stage)
    assert all(path.exists() for path in declared)
    start = module_file(STAGES[stage][0])
    assert start is not None
    needed = {
        file
        for file in closure([start, *members(declared)])
        if not (file.parent == SOURCE / "pruneproof" and file.stem in HARMLESS)
        and not (file.name == "__init__.py" and covered_child(file, declared))
    }
    assert {str(file.relative_to(SOURCE)) for file in needed if not covered(file, declared)} == set()


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifests of the default study."""
    study, folders = load_study(PROJECT), Folders(tmp_path_factory.mktemp("study"))
    place = study.study.model_copy(update={"root": str(PROJECT)})
    manifest.run(study.model_copy(update={"study": place}), folders)
    return folders.manifests


def modules(value: Any) -> Iterator[str]:
    """Every key of a manifest that is the name of a module."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key.startswith("pruneproof") and isinstance(inner, str):
            yield key
        yield from modules(inner)


@pytest.mark.parametrize("stage", BY_MANIFEST)
def test_everything_a_stage_imports_is_in_its_manifest(stage: str, manifests: Path) -> None:
    named = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith(f"data/manifests/{BY_MANIFEST[stage]}")]
    assert len(named) == 1
    assert code(stage) == []
    place = manifests / BY_MANIFEST[stage]
    for path in place.iterdir() if place.is_dir() else [place]:
        listed = {module_file(name) for name in modules(json.loads(path.read_text()))} - {None}
        start = module_file(STAGES[stage][0])
        assert start in listed
        left_out = {module_file(name) for name in manifest.WITHOUT} if stage == "answer_questions" else set()
        needed = closure([file for file in listed if file is not None])
        assert {str(file.relative_to(SOURCE)) for file in needed - listed - left_out} == set()


def covered_child(package: Path, declared: list[Path]) -> bool:
    """Whether a package's own file only lies on the way to a declared module and defines nothing."""
    statements = ast.parse(package.read_text()).body
    return all(isinstance(node, ast.Expr) for node in statements) and any(package.parent in d.parents for d in declared)


@pytest.mark.parametrize("stage", PIPELINE)
def test_no_stage_declares_code_that_it_does_not_import(stage: str) -> None:
    start = module_file(STAGES[stage][0])
    assert start is not None
    declared = code(stage)
    used = closure([start, *members(declared)])
    assert [path for path in declared if path not in used and not any(path in file.parents for file in used)] == []


def test_every_stage_has_a_command_of_its_own_name() -> None:
    assert set(PIPELINE) == set(STAGES) - {"train_backbone", "train_decisions"}
    for name, stage in PIPELINE.items():
        assert stage["cmd"].startswith(f"python -m pruneproof {name}")


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_every_study_runs_the_same_pipeline(folder: Path) -> None:
    assert (folder / "dvc.yaml").read_bytes() == (PROJECT / "dvc.yaml").read_bytes()
    assert not (folder / "dvc.yaml").is_symlink()  # DVC reads a link of an older commit as a file that holds a path


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_the_matrix_has_one_stage_for_each_backbone(folder: Path) -> None:
    """DVC joins ids with `-` and silently overwrites a stage whose name it has seen."""
    from dvc.repo import Repo

    study = load_study(folder)
    with Repo(str(PROJECT)) as repo:
        stages = repo.stage.load_all(str(folder / "dvc.yaml"))
    names = [stage.name for stage in stages if stage.name.startswith("answer_questions@")]
    assert sorted(names) == sorted(f"answer_questions@{backbone}" for backbone in study.backbones)


@pytest.mark.parametrize("stage", PIPELINE)
def test_params_name_settings_that_exist(stage: str) -> None:
    for param in PIPELINE[stage]["params"]:
        way = re.sub(r"\.\$\{item\.\w+\}$", "", param).split(".")
        model: Any = Study
        for key in way:
            assert key in model.model_fields
            model = model.model_fields[key].annotation


def test_every_setting_is_followed_by_some_stage() -> None:
    followed = {param.split(".")[0] for stage in PIPELINE.values() for param in stage["params"]}
    assert followed == set(Study.model_fields)


def test_answers_are_not_stale_for_how_they_are_scored() -> None:
    params = PIPELINE["answer_questions"]["params"]
    assert "backbones.${item.backbone}" in params
    assert "scoring" not in params


def test_training_has_one_stage_for_each_settings_file() -> None:
    from dvc.repo import Repo

    with Repo(str(PROJECT)) as repo:
        stages = repo.stage.load_all(str(PROJECT / "data/backbones/dvc.yaml"))
    known = [path.stem for path in (PROJECT / "data/backbones").glob("builtin_*.yaml")]
    wanted = [f"{stage}@{name}" for stage in ("train_backbone", "measure_retention") for name in known]
    assert sorted(stage.name for stage in stages) == sorted(wanted)
    ends = {"train_backbone": "--name {}", "measure_retention": "--backbone {} --save"}
    for stage in stages:
        kind, _, name = stage.name.partition("@")
        assert str(stage.cmd).endswith(ends[kind].format(name))


def test_decisions_are_trained_by_one_stage_for_each_settings_file() -> None:
    from dvc.repo import Repo

    with Repo(str(PROJECT)) as repo:
        stages = repo.stage.load_all(str(PROJECT / "data/decisions/dvc.yaml"))
    known = [path.stem for path in (PROJECT / "data/decisions").glob("*.yaml") if path.stem != "dvc"]
    assert sorted(stage.name for stage in stages) == sorted(f"train_decisions@{name}" for name in known)
    assert all(str(stage.cmd).endswith(f"--name {stage.name.partition('@')[2]}") for stage in stages)
