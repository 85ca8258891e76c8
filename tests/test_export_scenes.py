"""The command `export_scenes`."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pruneproof import cli
from pruneproof.benchmarks import build
from pruneproof.registry import module_names
from pruneproof.settings import BenchmarkSettings

PARAMS = """
study: {name: export, seed: 4}
benchmark: {name: BENCHMARK, images: 2}
backbones:
  b: {family: llava, checkpoint: model, text_tower: model}
methods:
  full: {method: full}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "model").mkdir(parents=True)
    (folder / "params.yaml").write_text(PARAMS.replace("BENCHMARK", "scenes"))
    return folder


def export(study: Path, form: str, to: Path) -> int:
    return cli.main(["export_scenes", "--study", str(study), "--as", form, "--to", str(to)])


@pytest.mark.parametrize("form", module_names("pruneproof.exporting"))
def test_the_printed_settings_read_the_files(
    form: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "a: folder's name"
    assert export(study, form, to) == 0
    first, _, *settings = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{to}: 2 pictures and ")
    assert settings
    for line in settings:
        made = build(BenchmarkSettings.model_validate(YAML(typ="safe").load(line)["benchmark"]), 4, study)
        assert len(made.images) == 2
        assert made.samples


@pytest.mark.parametrize("form", module_names("pruneproof.exporting"))
@pytest.mark.parametrize(("seed", "asked"), [(8, 3)])
def test_they_do_so_where_a_picture_has_no_question_of_the_kind(
    form: str, seed: int, asked: int, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = PARAMS.replace("BENCHMARK", "scenes").replace("images: 2", "images: 6").replace("seed: 4", f"seed: {seed}")
    (study / "params.yaml").write_text(params)
    assert export(study, form, tmp_path / "to") == 0
    for line in capsys.readouterr().out.splitlines()[2:]:
        settings = BenchmarkSettings.model_validate(YAML(typ="safe").load(line)["benchmark"])
        assert len(build(settings, seed, study).images) == settings.images
        assert settings.images == asked or not settings.name.startswith("pope")


def test_a_reader_that_finds_too_little_is_named_in_a_comment(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = PARAMS.replace("BENCHMARK", "scenes").replace("seed: 4", "seed: 1")
    (study / "params.yaml").write_text(params)
    assert export(study, "pope", tmp_path / "to") == 0
    (line,) = capsys.readouterr().out.splitlines()[2:]
    assert line.startswith("  # pope cannot be asked: ")


def test_a_second_export_gives_the_same_bytes(study: Path, tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        assert export(study, "coco", tmp_path / "to") == 0
        contents.append({path: path.read_bytes() for path in (tmp_path / "to").rglob("*") if path.is_file()})
    assert contents[0] == contents[1]


def test_a_folder_that_holds_something_else_is_left_alone(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "to"
    other = to / "val2014" / "holiday.jpg"
    other.parent.mkdir(parents=True)
    other.touch()
    assert export(study, "pope", to) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"pruneproof export_scenes: --to is {to}, which holds val2014/holiday.jpg, no file of this export: name a new "
        "or an empty folder"
    ]
    assert [path for path in to.rglob("*") if path.is_file()] == [other]


def test_a_file_is_no_folder(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "to").touch()
    assert export(study, "pope", tmp_path / "to") == 2
    assert capsys.readouterr().err.startswith("pruneproof export_scenes: ")


def test_an_unknown_format(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(study, "vqa", tmp_path / "to") == 2
    assert "unknown format 'vqa' (did you mean 'vqav2'?)" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()


def test_another_benchmark_is_not_exported(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "params.yaml").write_text(PARAMS.replace("BENCHMARK", "pope"))
    assert export(study, "pope", tmp_path / "to") == 2
    assert "benchmark.name is 'pope', but only scenes are exported" in capsys.readouterr().err
