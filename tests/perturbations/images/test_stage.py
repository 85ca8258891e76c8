"""The stage `corrupt_images`: its tables, its manifest, what it resumes and what it refuses to reuse."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scenery import disc, pixels, png, standard_benchmark, study, write_benchmark

from pruneproof.errors import PruneProofError
from pruneproof.files import read_json, read_rows, sha256
from pruneproof.folders import Folders
from pruneproof.perturbations.images import stage
from pruneproof.perturbations.images._work import Row, Task, corrupt
from pruneproof.records import CORRUPTED


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the conditions whose images are computed, not reused, in order."""
    computed: list[str] = []
    monkeypatch.setattr(stage, "corrupt", counting(computed))
    return computed


def counting(computed: list[str], limit: int = 1000) -> Callable[[Task], list[Row]]:
    """`corrupt` that notes its conditions and is interrupted after `limit` tasks."""

    def work(task: Task) -> list[Row]:
        if len(computed) == limit:
            raise KeyboardInterrupt
        computed.append(task.condition.condition_id)
        return corrupt(task)

    return work


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_one_table_per_condition_with_every_image_in_order(tmp_path: Path) -> None:
    folders = standard_benchmark(tmp_path)
    stage.run(study(["contrast", "occlusion_object"], [1, 5]), folders)
    names = ["contrast_1", "contrast_5", "occlusion_object_1", "occlusion_object_5"]
    assert set(contents(folders.corrupted)) == {*(f"{name}.parquet" for name in names), "manifest.json"}
    for name in names:
        table = pq.read_table(folders.corrupted / f"{name}.parquet")
        assert table.schema.equals(CORRUPTED)
        assert table["image_id"].to_pylist() == ["image_0", "image_1", "image_2"]
        for row in table.to_pylist():
            assert Image.open(BytesIO(row["png"])).size == (224, 224)
            assert row["error"] == ""


def test_the_manifest_says_what_the_images_depend_on(tmp_path: Path) -> None:
    folders = standard_benchmark(tmp_path)
    stage.run(study(["contrast"], [2], seed=9), folders)
    manifest = read_json(folders.corrupted / "manifest.json")
    assert set(manifest["versions"]) == {
        "imagecorruptions", "numpy", "opencv", "pillow", "scipy",
    }  # fmt: skip
    assert (manifest["study_seed"], manifest["resolution"], manifest["model_pixels"]) == (9, "native", None)
    assert (manifest["images"], manifest["failures"]) == (3, [])
    condition = manifest["conditions"]["contrast_2"]
    assert (condition["perturbation"], condition["severity"]) == ("contrast", 2)
    assert condition["sha256"] == sha256(folders.corrupted / "contrast_2.parquet")


def test_the_number_of_workers_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = study(["occlusion_random", "occlusion_object"], [1, 4])
    one, two = standard_benchmark(tmp_path / "one"), standard_benchmark(tmp_path / "two")
    stage.run(settings, one)
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "2")
    monkeypatch.setattr(stage, "IMAGES_PER_TASK", 2)
    stage.run(settings, two)
    assert contents(one.corrupted) == contents(two.corrupted)


def test_unreadable_images_are_named_and_do_not_end_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folders = Folders(tmp_path)
    whole = png(pixels())
    images = [("good", whole, [png(disc())]), ("cut", whole[:2000], []), ("text", b"hello", []), ("bare", whole, [])]
    write_benchmark(folders, images)
    stage.run(study(["contrast", "occlusion_object"]), folders)
    rows = {row["image_id"]: row for row in read_rows(folders.corrupted / "occlusion_object_3.parquet")}
    assert rows["good"]["png"]
    assert {name for name, row in rows.items() if row["png"] is None} == {"cut", "text", "bare"}
    found = read_json(folders.corrupted / "manifest.json")["failures"]
    assert [(entry["image_id"], entry["conditions"]) for entry in found] == [
        ("bare", ["occlusion_object_3"]),
        ("cut", ["contrast_3", "occlusion_object_3"]),
        ("text", ["contrast_3", "occlusion_object_3"]),
    ]
    assert (
        found[2]["error"]
        == rows["text"]["error"]
        == ("image is in no known format (5 bytes): restore the file or leave it out")
    )
    assert "image cut: image cannot be decoded" in caplog.text
    assert caplog.text.count("image text:") == 1


def test_a_second_run_computes_nothing_and_gives_the_same_bytes(tmp_path: Path, done: list[str]) -> None:
    folders = standard_benchmark(tmp_path)
    stage.run(study(["gaussian_noise"], [1, 3]), folders)
    before = contents(folders.corrupted)
    shutil.rmtree(folders.corrupted)  # As DVC does before it runs a stage.
    stage.run(study(["gaussian_noise"], [1, 3]), folders)
    assert done == ["gaussian_noise_1", "gaussian_noise_3"]
    assert contents(folders.corrupted) == before


def test_a_changed_seed_recomputes_and_a_further_severity_adds_itself_alone(tmp_path: Path, done: list[str]) -> None:
    folders = standard_benchmark(tmp_path)
    stage.run(study(["gaussian_noise"], [1]), folders)
    before = contents(folders.corrupted)
    stage.run(study(["gaussian_noise"], [1, 2]), folders)
    assert done == ["gaussian_noise_1", "gaussian_noise_2"]
    assert contents(folders.corrupted)["gaussian_noise_1.parquet"] == before["gaussian_noise_1.parquet"]
    stage.run(study(["gaussian_noise"], [1], seed=1), folders)
    assert done[2:] == ["gaussian_noise_1"]
    after = contents(folders.corrupted)
    assert sorted(after) == ["gaussian_noise_1.parquet", "manifest.json"]
    assert after["gaussian_noise_1.parquet"] != before["gaussian_noise_1.parquet"]
    assert len(list((tmp_path / "data" / ".corrupted").glob("*.parquet"))) == 1


def test_changed_images_are_never_answered_with_old_ones(tmp_path: Path, done: list[str]) -> None:
    stage.run(study(["contrast"]), standard_benchmark(tmp_path, count=2))
    stage.run(study(["contrast"]), standard_benchmark(tmp_path, count=3))
    assert done == ["contrast_3", "contrast_3"]
    assert len(read_rows(Folders(tmp_path).corrupted / "contrast_3.parquet")) == 3


def test_an_output_that_was_written_into_is_made_anew(tmp_path: Path, done: list[str]) -> None:
    folders = standard_benchmark(tmp_path)
    stage.run(study(["contrast"]), folders)
    path = folders.corrupted / "contrast_3.parquet"
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.write(b"spoilt")
    stage.run(study(["contrast"]), folders)
    assert done == ["contrast_3", "contrast_3"]
    assert path.read_bytes() == whole


def test_interrupted_work_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = study(["gaussian_noise"], [1, 2, 3, 4, 5])
    first: list[str] = []
    second: list[str] = []
    folders = standard_benchmark(tmp_path / "interrupted")
    monkeypatch.setattr(stage, "corrupt", counting(first, limit=2))
    with pytest.raises(KeyboardInterrupt):
        stage.run(settings, folders)
    monkeypatch.setattr(stage, "corrupt", counting(second))
    stage.run(settings, folders)
    assert first + second == [f"gaussian_noise_{severity}" for severity in range(1, 6)]
    whole = standard_benchmark(tmp_path / "whole")
    stage.run(settings, whole)
    assert contents(folders.corrupted) == contents(whole.corrupted)


def test_a_killed_run_leaves_no_process_and_its_work_is_taken_up(tmp_path: Path, done: list[str]) -> None:
    settings = "study(['occlusion_random'], [1, 2, 3, 4, 5])"
    folders = standard_benchmark(tmp_path, count=60)
    store = tmp_path / "data" / ".corrupted"
    code = (
        "import sys; from pathlib import Path; from scenery import study; from pruneproof.folders import Folders; "
        f"from pruneproof.perturbations.images.stage import run; run({settings}, Folders(Path(sys.argv[1])))"
    )
    environment = os.environ | {"PRUNEPROOF_WORKERS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(store.glob("*.sha256")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    kept = len(list(store.glob("*.sha256")))
    stage.run(study(["occlusion_random"], [1, 2, 3, 4, 5]), folders)
    assert kept >= 1
    assert len(set(done)) == 5 - kept
    assert len(contents(folders.corrupted)) == 6


def test_model_resolution_is_applied_and_recorded(tmp_path: Path) -> None:
    folders = standard_benchmark(tmp_path, height=120, width=160)
    stage.run(study(["occlusion_object", "fog"], [5], model_pixels=48), folders)
    manifest = read_json(folders.corrupted / "manifest.json")
    assert (manifest["resolution"], manifest["model_pixels"]) == ("model", 48)
    for name in ("occlusion_object_5", "fog_5"):
        for row in read_rows(folders.corrupted / f"{name}.parquet"):
            assert np.asarray(Image.open(BytesIO(row["png"]))).shape == (48, 64, 3)


def test_a_strip_that_would_become_too_long_is_named_and_the_others_are_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = Folders(tmp_path)
    strip, other = (png(np.full((height, 32, 3), 90, np.uint8)) for height in (32 * 26, 32))
    write_benchmark(folders, [("strip", strip, []), ("other", other, [])])
    stage.run(study(["contrast", "fog"], [5], model_pixels=320), folders)
    (failure,) = read_json(folders.corrupted / "manifest.json")["failures"]
    assert (failure["image_id"], failure["conditions"]) == ("strip", ["contrast_5", "fog_5"])
    assert "has 32 x 832 pixels, of which `resolution: model` makes 320 x 8320" in failure["error"]
    assert any("image strip: the picture has 32 x 832 pixels" in line for line in caplog.messages)
    for name in ("contrast_5", "fog_5"):
        rows = {row["image_id"]: row for row in read_rows(folders.corrupted / f"{name}.parquet")}
        assert (rows["strip"]["png"], rows["other"]["png"] is None) == (None, False)


def test_an_object_with_a_box_alone_is_covered_by_its_box(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    image = np.full((40, 60, 3), 255, np.uint8)
    write_benchmark(folders, [("boxed", png(image), [b""])], boxes={"boxed": [(10.4, 5.0, 29.6, 25.0)]})
    stage.run(study(["occlusion_object", "contrast"], [5]), folders)
    assert read_json(folders.corrupted / "manifest.json")["failures"] == []
    (row,) = read_rows(folders.corrupted / "occlusion_object_5.parquet")
    rows, columns = np.nonzero((np.asarray(Image.open(BytesIO(row["png"]))) == 128).all(axis=2))
    # Three quarters of columns 10 to 29 and rows 5 to 24, from whichever side was drawn.
    assert len(rows) == 0.75 * 20 * 20
    assert (rows.min() >= 5, rows.max() <= 24, columns.min() >= 10, columns.max() <= 29) == (True,) * 4


def test_a_misspelt_name_is_refused_before_any_work(tmp_path: Path, done: list[str]) -> None:
    with pytest.raises(PruneProofError, match="did you mean 'contrast'"):
        stage.run(study(["fog", "contrst"]), standard_benchmark(tmp_path))
    assert done == []


def test_a_benchmark_without_images_is_refused(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    write_benchmark(folders, [])
    with pytest.raises(PruneProofError, match=r"images\.parquet holds no image"):
        stage.run(study(["fog"]), folders)


def test_a_study_without_image_perturbations_has_a_manifest_alone(tmp_path: Path) -> None:
    folders = standard_benchmark(tmp_path)
    stage.run(study([]), folders)
    assert sorted(contents(folders.corrupted)) == ["manifest.json"]
