from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from pruneproof import files, pruning, tracking
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.settings import MethodSettings, Study

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Search = Callable[..., "list[Run]"]
CONDITIONS = ["clean", "dialogue_each_1", "dialogue_each_2", "fog_1", "fog_3", "typo_ocr_1", "typo_ocr_3"]
RUNS = 2 * (1 + 1 + len(CONDITIONS)) + 1
"""Of two methods, in both experiments, and the report's."""
CURRENT = "tags.superseded_by IS NULL"


def cell(run: Run) -> tuple[str, str]:
    """What a run is about; the same for the run that replaces it."""
    return run.data.tags["level"], run.data.tags["cell_id"]


def by_cell(runs: list[Run]) -> dict[tuple[str, str], str]:
    """Run ids."""
    return {cell(run): str(run.info.run_id) for run in runs}


def change_score(folders: Folders, method: str = "atp_25", perturbation: str = "fog", to: str = "11.5") -> None:
    """Another accuracy for one method under one perturbation at severity 3."""
    path = folders.scores / "summary.csv"
    start = f"builtin_llava,{method},image,{perturbation},3,accuracy/all,"
    lines = path.read_text().splitlines()
    changed = [f"{start}{to},,,320" if line.startswith(start) else line for line in lines]
    assert sum(a != b for a, b in zip(lines, changed, strict=True)) == 1
    path.write_text("\n".join(changed) + "\n")


def names(runs: list[Run]) -> list[str]:
    """Newest first, as the UI lists them."""
    return [str(run.info.run_name) for run in sorted(runs, key=lambda run: -run.info.start_time)]


def test_the_newest_runs_are_the_methods_in_the_order_of_the_report(
    study: tuple[Study, Folders], search: Search
) -> None:
    tracking.run(*study)
    assert names(search()) == ["Full", "ATP 25%"]
    assert names(search("", "synthetic.conditions"))[:3] == ["report", "Full", "ATP 25%"]


def test_running_twice_adds_nothing(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    receipt = (study[1].reports / "tracking.json").read_bytes()
    before = {run.info.run_id: run.to_dictionary() for run in search("", None)}
    assert len(before) == RUNS
    tracking.run(*study)
    assert {run.info.run_id: run.to_dictionary() for run in search("", None)} == before
    assert (study[1].reports / "tracking.json").read_bytes() == receipt


def test_a_changed_result_supersedes_its_old_run(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    before = by_cell(search("", None))
    change_score(study[1])
    tracking.run(*study)
    after = by_cell(search(CURRENT, None))
    changed = {cell for cell in before if before[cell] != after[cell]}
    assert changed == {
        ("method", "builtin_llava/atp_25"),
        ("all conditions", "builtin_llava/atp_25"),
        ("condition", "builtin_llava/atp_25/fog_3"),
    }
    old = {cell(run): run.data.tags["superseded_by"] for run in search("tags.superseded_by IS NOT NULL", None)}
    assert old == {cell: after[cell] for cell in changed}
    conditions = "synthetic.conditions"
    parent = after["all conditions", "builtin_llava/atp_25"]
    assert len(search(f"{CURRENT} AND tags.mlflow.parentRunId = '{parent}'", conditions)) == len(CONDITIONS)
    fog_3 = "params.perturbation = 'fog' AND params.severity = '3' AND params.method = 'atp_25'"
    (fog,) = search(f"{CURRENT} AND {fog_3}", conditions)
    assert fog.data.metrics["accuracy/all"] == 11.5


def test_a_method_that_left_the_study_is_superseded_by_its_report(study: tuple[Study, Folders], search: Search) -> None:
    settings, folders = study
    original = (folders.scores / "summary.csv").read_text()
    tracking.run(*study)
    before = by_cell(search(CURRENT, None))
    kept = [line for line in original.splitlines() if not line.startswith("builtin_llava,atp_25,")]
    (folders.scores / "summary.csv").write_text("\n".join(kept) + "\n")
    methods = {name: method for name, method in settings.methods.items() if name != "atp_25"}
    tracking.run(settings.model_copy(update={"methods": methods}), folders)
    now = by_cell(search(CURRENT, None))
    assert before.keys() - now.keys() == {cell for cell in before if cell[1].startswith("builtin_llava/atp_25")}
    gone = search("tags.superseded_by IS NOT NULL AND params.method = 'atp_25'", None)
    assert {run.data.tags["superseded_by"] for run in gone} == {now["report", "report"]}
    (folders.scores / "summary.csv").write_text(original)
    tracking.run(*study)
    assert before.items() <= by_cell(search(CURRENT, None)).items()


def test_a_clock_set_back_does_not_put_the_new_result_below_the_old(
    study: tuple[Study, Folders], search: Search
) -> None:
    tracking.run(*study)
    change_score(study[1])
    for moment in (0, 10**9):
        os.utime(study[1].scores / "summary.csv", (moment, moment))
        tracking.run(*study)
    newest = max(search(), key=lambda run: run.info.start_time)
    (atp,) = search(f"{CURRENT} AND params.method = 'atp_25'")
    assert atp.info.run_id == newest.info.run_id
    assert names(search("", "synthetic.conditions"))[:2] == ["ATP 25%", "ATP 25% / fog_3"]


def test_other_peoples_runs_are_left_alone(study: tuple[Study, Folders], search: Search, client: MlflowClient) -> None:
    tracking.run(*study)
    experiment = client.get_experiment_by_name("synthetic")
    assert experiment is not None
    others = [client.create_run(experiment.experiment_id, tags=tags) for tags in ({}, {"cell_id": "a"}, {"stage": "a"})]
    client.set_terminated(others[2].info.run_id, "FAILED")
    before = [client.get_run(run.info.run_id).to_dictionary() for run in others]
    change_score(study[1])
    tracking.run(*study)
    assert [client.get_run(run.info.run_id).to_dictionary() for run in others] == before
    assert len(search("", None)) == RUNS + 3 + len(others)


NOTED = """
from pruneproof.pruning import random

class Settings(random.Settings):
    seed: int
    note: str

build = random.Random
"""


def test_names_and_values_that_mlflow_refuses(
    study: tuple[Study, Folders], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "noted.py").write_text(NOTED)
    monkeypatch.setattr(pruning, "__path__", [*pruning.__path__, str(tmp_path)])
    settings, folders = study
    long_name = "m" * 240
    methods = {
        "full": settings.methods["full"],
        long_name: MethodSettings(method="noted", keep=0.25, seed=3, note="n" * 7000),
    }
    for path in (folders.scores / "summary.csv", folders.reports / "summary.csv"):
        text = path.read_text().replace("atp_25", long_name)
        path.write_text(text.replace("accuracy/colour", '"accuracy/colour/red, green (b)"'))
    named = settings.study.model_copy(update={"name": "s" * 3000})
    tracking.run(settings.model_copy(update={"study": named, "methods": methods}), folders)
    client = MlflowClient(f"sqlite:///{folders.study / 'mlflow.db'}")
    ids = [found.experiment_id for found in client.search_experiments() if found.name.startswith("s" * 100)]
    assert len(ids) == 2
    (all_conditions,) = client.search_runs(ids, "tags.level = 'all conditions' AND params.pruner = 'noted'")
    assert "accuracy/colour/red:2c green :28b:29/clean" in all_conditions.data.metrics
    (run,) = client.search_runs(ids, "tags.level = 'method' AND params.pruner = 'noted'")
    assert (run.data.params["method"], run.data.params["seed"], run.data.params["option.seed"]) == (long_name, "7", "3")
    assert "(7000 characters, SHA-256 " in run.data.params["note"]
    text = Path(url2pathname(urlsplit(run.info.artifact_uri).path), "summary.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {len(row) for row in rows} == {10}
    assert "accuracy/colour/red, green (b)" in {row["metric"] for row in rows}
    before = len(client.search_runs(ids))
    tracking.run(settings.model_copy(update={"study": named, "methods": methods}), folders)
    assert len(client.search_runs(ids)) == before


def test_going_back_revives_the_first_run(study: tuple[Study, Folders], search: Search) -> None:
    original = (study[1].scores / "summary.csv").read_text()
    tracking.run(*study)
    before = by_cell(search(CURRENT, None))
    change_score(study[1])
    tracking.run(*study)
    (study[1].scores / "summary.csv").write_text(original)
    tracking.run(*study)
    assert by_cell(search(CURRENT, None)) == before
    assert len(search("", None)) == RUNS + 3


def test_a_killed_recording_is_completed(
    study: tuple[Study, Folders], search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    calls = iter(range(100))
    log_batch = MlflowClient.log_batch

    def killed(*arguments: object, **named: object) -> object:
        if next(calls) == 5:
            raise KeyboardInterrupt
        return log_batch(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            tracking.run(*study)
    assert not (study[1].reports / "tracking.json").exists()
    tracking.run(*study)
    runs = search("", None)
    assert len(runs) == RUNS
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_the_receipt_depends_on_results_alone(study: tuple[Study, Folders], client: MlflowClient) -> None:
    tracking.run(*study)
    first = files.read_json(study[1].reports / "tracking.json")
    assert first["runs"] == RUNS
    assert first["experiments"] == ["synthetic", "synthetic.conditions"]
    assert set(first["methods"]) == {"builtin_llava/full", "builtin_llava/atp_25"}
    text = str(first)
    assert str(study[1].study) not in text
    change_score(study[1])
    tracking.run(*study)
    second = files.read_json(study[1].reports / "tracking.json")
    changed = {name for name in first["methods"] if first["methods"][name] != second["methods"][name]}
    assert changed == {"builtin_llava/atp_25"}
    assert first["digest"] != second["digest"]


def test_runs_of_an_older_version_leave_the_experiment_of_methods(
    study: tuple[Study, Folders], search: Search, client: MlflowClient
) -> None:
    """It kept everything in one experiment."""
    experiment = client.create_experiment("synthetic", artifact_location=(study[1].study / "mlartifacts").as_uri())
    for cell_id in ("builtin_llava/atp_25", "builtin_llava/atp_25/fog_3", "report"):
        run = client.create_run(experiment, tags={"stage": "record_runs", "cell_id": cell_id, "cell_hash": "of old"})
        client.set_terminated(run.info.run_id, "FINISHED")
    tracking.run(*study)
    assert names(search(CURRENT)) == ["Full", "ATP 25%"]
    (old,) = search("tags.superseded_by IS NOT NULL")
    assert old.data.tags["cell_id"] == "builtin_llava/atp_25"


def test_a_missing_table_is_named(study: tuple[Study, Folders]) -> None:
    (study[1].scores / "summary.csv").unlink()
    with pytest.raises(PruneProofError, match=r"summary\.csv is missing"):
        tracking.run(*study)
