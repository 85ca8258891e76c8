from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruneproof import plan
from pruneproof.answering import manifest
from pruneproof.answering.grid import conditions
from pruneproof.answering.stage import cells_of
from pruneproof.answering.store import CELL, Store
from pruneproof.benchmarks import stage as drawing
from pruneproof.digests import Digests
from pruneproof.files import read_rows, write_json, write_rows
from pruneproof.folders import Folders
from pruneproof.records import CORRUPTED, IMAGES, REWORDED, Condition, Sample
from pruneproof.settings import BenchmarkSettings, Study
from pruneproof.stored import columns
from pruneproof.study import load_study

PARAMS = """\
study: {name: tiny, seed: 5}
benchmark: {images: 12}
perturbations:
  image: {names: [fog], severities: [1, 5]}
backbones:
  b: {family: llava, checkpoint: owner/name, revision: a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1, text_tower: ViT-L-14}
methods:
  full: {method: full}
  atp_25: {method: atp, keep: 0.25}
scoring: {primary: [atp_25]}
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "params.yaml").write_text(PARAMS)
    return load_study(tmp_path)


@pytest.fixture
def folders(tmp_path: Path, study: Study) -> Folders:
    """A study whose inputs are made: drawn scenes, "corruptions" that are empty pictures, nothing reworded."""
    folders = Folders(tmp_path)
    drawing.run(study, folders)
    for severity in (1, 5):
        rows = [{"image_id": name, **columns(b"png"), "error": ""} for name in image_ids(folders)]
        write_rows(folders.corrupted / f"fog_{severity}.parquet", rows, CORRUPTED)
    write_rows(folders.reworded / "questions.parquet", [], REWORDED)
    for folder in (folders.corrupted, folders.reworded):
        write_json(folder / "manifest.json", {})
    return folders


def image_ids(folders: Folders) -> list[str]:
    return [row["image_id"] for row in read_rows(folders.benchmark / "images.parquet", ["image_id"])]


def finish(study: Study, folders: Folders, method: str, condition: Condition, batch: int, second: float) -> None:
    """Put one batch into the store as if it had been answered at that second."""
    own = cells_of(study, folders, manifest.of_backbone(study, folders, "b", Digests()), study.methods)[method]
    keys = [key for found, key in zip(own.asking.conditions, own.keys, strict=True) if found == condition]
    store = Store(folders.cells)
    store.put(keys[batch], CELL.empty_table())
    path = store.path(keys[batch])
    os.utime(path, (second, second))


def test_primary_contrasts_are_those_of_methods_that_a_backbone_is_run_with(study: Study) -> None:
    """Two backbones, one of them with the full model alone; corruptions are perturbed, questions are not."""
    both = {"b": study.backbones["b"], "c": study.backbones["b"].model_copy(update={"methods": ("full",)})}
    assert plan.comparisons(study) == 1
    assert plan.comparisons(study.model_copy(update={"backbones": both})) == 1
    assert plan.comparisons(study.model_copy(update={"backbones": {**both, "c": both["b"]}})) == 2


def test_nothing_is_done_before_the_inputs_are_made(study: Study, tmp_path: Path) -> None:
    rows, known = plan.progress_of(study, Folders(tmp_path))
    assert not known
    assert [(row.method, row.batches, row.finished, len(row.unfinished)) for row in rows] == [
        ("full", 6, 0, 3),
        ("atp_25", 6, 0, 3),
    ]


def test_a_cell_is_done_when_all_its_batches_are(study: Study, folders: Folders) -> None:
    clean, fog, _ = conditions(study)
    for condition, batch in ((clean, 0), (clean, 1), (fog, 0)):
        finish(study, folders, "atp_25", condition, batch, second=100.0)
    (full, atp), known = plan.progress_of(study, folders)
    assert known
    assert (full.batches, full.left, len(full.unfinished)) == (6, 6, 3)
    assert (atp.batches, atp.left) == (6, 3)
    assert clean not in atp.unfinished
    assert fog in atp.unfinished
    assert atp.times == [100.0] * 3


def test_a_cell_whose_questions_others_ask_is_done_with_theirs(folders: Folders) -> None:
    """The first turn of a dialogue asks what is asked alone."""
    dialogue = "answering: {dialogues: {turns: 2, select_by: [each]}}\n"
    (folders.study / "params.yaml").write_text(PARAMS + dialogue)
    study = load_study(folders.study)
    first, second = (one for one in conditions(study) if one.family == "dialogue")
    for row in plan.progress_of(study, folders)[0]:
        assert row.unfinished == set(conditions(study))
    for batch in (0, 1):
        finish(study, folders, "full", conditions(study)[0], batch, second=1.0)
    (full, atp), _ = plan.progress_of(study, folders)
    assert full.finished == 2
    assert full.unfinished == {*conditions(study)} - {conditions(study)[0], first}
    assert second in full.unfinished
    assert first in atp.unfinished


def test_primary_contrasts_are_counted_and_said_one_by_one(study: Study) -> None:
    """One method under both families makes two contrasts; on two backbones four."""
    text = study.perturbations.text.model_copy(update={"names": ("typo_ocr",)})
    both = study.model_copy(update={"perturbations": study.perturbations.model_copy(update={"text": text})})
    families = "under corruption and under rewording"
    assert plan.contrasts_told(both) == f"2 primary contrasts: 1 primary method, {families}"
    twice = both.model_copy(update={"backbones": {"b": both.backbones["b"], "c": both.backbones["b"]}})
    assert plan.contrasts_told(twice) == f"4 primary contrasts: 1 primary method on 2 backbones, {families}"
    assert plan.comparisons(twice) == 4


def test_other_settings_have_nothing_done(study: Study, folders: Folders) -> None:
    finish(study, folders, "atp_25", conditions(study)[0], 0, second=1.0)
    (folders.study / "params.yaml").write_text(PARAMS.replace("keep: 0.25", "keep: 0.25, alpha: 0.4"))
    rows, _ = plan.progress_of(load_study(folders.study), folders)
    assert [row.finished for row in rows] == [0, 0]


def test_the_printed_plan_names_cells_time_and_what_can_be_shown(
    study: Study, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    for index, condition in enumerate(conditions(study)):
        for batch in (0, 1):
            finish(study, folders, "full", condition, batch, second=100.0 + 20 * (2 * index + batch))
    plan.report(folders.study)
    out = capsys.readouterr().out
    assert "Study tiny: 12 images" in out
    assert "2 runs of a backbone with a method: 6 cells" in out
    assert next(line.split() for line in out.splitlines() if " full " in line) == ["b", "full", "3", "3", "0", "-"]
    row = next(line.split() for line in out.splitlines() if " atp_25 " in line)
    assert row == ["b", "atp_25", "3", "0", "6", "2", "min"]
    assert "About 2 min of answering left" in out
    assert (
        "over the mean of 2 image conditions (power 80%, 1 primary contrast: 1 primary method, under corruption)" in out
    )


@pytest.mark.parametrize(
    ("sizes", "image", "said"),
    [
        ([(640, 480), (480, 640), (224, 224)], "", "Pictures are 2.1 times as large"),
        ([(640, 480)], "resolution: model", ""),
        ([(640, 480)], "model_pixels: 448", ""),
        ([(336, 224), (224, 224)], "", ""),
        ([], "", ""),
    ],
)
def test_pictures_much_larger_than_the_models_input_are_better_corrupted_at_its_size(
    tmp_path: Path, sizes: list[tuple[int, int]], image: str, said: str
) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS.replace("severities", f"{image + ', ' if image else ''}severities"))
    folders = Folders(tmp_path)
    rows = [
        {"image_id": str(n), "group": "", "width": w, "height": h, **columns(b"")} for n, (w, h) in enumerate(sizes)
    ]
    write_rows(folders.benchmark / "images.parquet", rows, IMAGES)
    advice = plan.resolution_advice(load_study(tmp_path), folders)
    assert advice.startswith(said) if said else advice == ""


def test_questions_are_counted_before_and_after_drawing_alike(study: Study, tmp_path: Path) -> None:
    source, ahead = plan.questions(study, Folders(tmp_path))
    assert source == "8 images made for this estimate"
    drawing.run(study, Folders(tmp_path))
    source, asked = plan.questions(study, Folders(tmp_path))
    assert source == ""
    assert asked == pytest.approx(ahead, rel=0.3)


def test_questions_of_a_benchmark_without_its_files_are_as_many_as_published(study: Study, tmp_path: Path) -> None:
    asked = study.model_copy(update={"benchmark": BenchmarkSettings(name="pope", images=None, folder="nowhere")})
    source, each = plan.questions(asked, Folders(tmp_path))
    assert source == "the published size of pope"
    assert each == pytest.approx(5127 / 500)


def test_pictures_that_are_only_described_have_no_number_of_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    captions = "{name: coco_captions, images: null, folder: nowhere}"
    (tmp_path / "params.yaml").write_text(PARAMS.replace("{images: 12}", captions))
    plan.report(tmp_path)
    out = capsys.readouterr().out
    assert "5000 images, each to be described, 3 conditions" in out
    assert "Questions were counted on the published size of coco_captions." in out


def test_the_printed_plan_says_what_memory_known_backbones_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "2")
    monkeypatch.setenv("PRUNEPROOF_DEVICE", "cpu")
    (tmp_path / "params.yaml").write_text(PARAMS.replace("owner/name", "llava-hf/llava-1.5-7b-hf"))
    plan.report(tmp_path)
    # 28.25 GB of LLaVA in float32, and 0.49 GB of CLIP's text half.
    said = capsys.readouterr().out
    assert "GB of memory (2 processes), of it 28.7 GB weights, " in said
    assert ", 1.6 GB torch and its libraries." in said


def test_a_question_of_several_splits_counts_once() -> None:
    asked = [("existence", "Car?"), ("existence", "Car?"), ("count", "Cars?"), ("caption", "?")]
    samples = [
        Sample(f"{image}/{n}", image, kind, text, "yes", asks="caption" if kind == "caption" else "answer")
        for image in "ab"
        for n, (kind, text) in enumerate(asked)
    ]
    assert plan.per_image(samples) == 2.0
    assert plan.per_image([]) == 0.0


def test_more_images_show_smaller_differences(study: Study) -> None:
    assert plan.shown(study, 48, 20.0, 10) == pytest.approx(plan.shown(study, 12, 20.0, 10) / 2)


def test_pauses_between_runs_do_not_count_as_work() -> None:
    first = [10.0 * i for i in range(30)]
    assert plan.pace(first) == pytest.approx(10.0)
    assert plan.pace([*first, *(1e6 + time for time in first)]) == pytest.approx(10.0)


def test_methods_that_advance_together_are_not_added_up() -> None:
    # Three methods finish a batch each every 30 seconds; 10 batches of each are left.
    runs = [
        plan.Progress("tiny", name, 30, 20, set(), [30.0 * i + 10.0 * place for i in range(20)])
        for place, name in enumerate(("full", "random_25", "atp_25"))
    ]
    assert plan.remaining(runs, 10.0) == pytest.approx(300.0)
    untouched = plan.Progress("other", "full", 5)
    assert plan.remaining([*runs, untouched], 10.0) == pytest.approx(350.0)
    assert plan.remaining([untouched], None) == 0.0


def test_two_workers_that_finish_together_count_twice() -> None:
    assert plan.pace([10.0 * (i // 2) for i in range(41)]) == pytest.approx(5.0, rel=0.05)


@given(st.lists(st.floats(0, 1e6), max_size=4))
def test_a_few_batches_tell_nothing(times: list[float]) -> None:
    assert plan.pace(times) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3599, "60 min"),
        (5400, "1.5 h"),
        (90000, "25.0 h"),
        (400_000, "4.6 days"),
        (3e6, "35 days"),
        (3.2e11, "10,140 years"),
    ],
)
def test_durations_are_said_as_a_person_says_them(seconds: float, text: str) -> None:
    assert plan.duration(seconds) == text
