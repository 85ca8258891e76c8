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
RUNS = 2 * (1 + len(CONDITIONS)) + 1
CURRENT = "tags.superseded_by IS NULL"


def change_score(folders: Folders, method: str = "atp_25", perturbation: str = "fog", to: str = "11.5") -> None:
    """Another accuracy for one method under one perturbation at severity 3."""
    path = folders.scores / "summary.csv"
    start = f"builtin_llava,{method},image,{perturbation},3,accuracy/all,"
    lines = path.read_text().splitlines()
    changed = [f"{start}{to},,,320" if line.startswith(start) else line for line in lines]
    assert sum(a != b for a, b in zip(lines, changed, strict=True)) == 1
    path.write_text("\n".join(changed) + "\n")


def test_parents_hold_curves_over_severity(study: tuple[Study, Folders], search: Search, client: MlflowClient) -> None:
    tracking.run(*study)
    (atp,) = search("tags.level = 'method' AND params.method = 'atp_25'")
    scored = {
        tuple(line.split(",")[2:6]): float(line.split(",")[6])
        for line in (study[1].scores / "summary.csv").read_text().splitlines()
        if line.startswith("builtin_llava,atp_25,")
    }
    history = client.get_metric_history(atp.info.run_id, "accuracy/all/fog")
    assert {point.step: point.value for point in history} == {
        0: scored["clean", "clean", "0", "accuracy/all"],
        1: scored["image", "fog", "1", "accuracy/all"],
        3: scored["image", "fog", "3", "accuracy/all"],
    }
    dialogue = client.get_metric_history(atp.info.run_id, "accuracy/all/dialogue_each")
    assert {point.step: point.value for point in dialogue} == {
        turn: scored["dialogue", "dialogue_each", str(turn), "accuracy/all"] for turn in (1, 2)
    }
    assert atp.data.metrics["accuracy/all/image_mean"] == scored["image", "mean", "mean", "accuracy/all"]
    assert atp.data.metrics["pope/f1_mean/clean"] == scored["clean", "clean", "0", "pope/f1_mean"]
    assert (atp.data.metrics["cost/flops_ratio"], atp.data.metrics["contrast/extra_drop_image"]) == (0.58, 0.8)
    assert {key: float(atp.data.params[key]) for key in ("keep", "alpha")} == {"keep": 0.25, "alpha": 0.5}


def test_children_hold_one_condition(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    (atp,) = search("tags.level = 'method' AND params.method = 'atp_25'")
    children = search(f"tags.mlflow.parentRunId = '{atp.info.run_id}'")
    assert sorted(run.data.tags["cell_id"].rpartition("/")[2] for run in children) == CONDITIONS
    (fog,) = search("params.perturbation = 'fog' AND params.severity = '3' AND params.method = 'atp_25'")
    assert fog.data.params["family"] == "image"
    assert {"accuracy/all", "accuracy/colour", "hallucination/rate"} <= set(fog.data.metrics)
    assert len(fog.data.tags["data.condition"]) == len(fog.data.tags["data.benchmark"]) == 64


def test_figures_and_tables_are_artifacts_and_the_headline_is_a_note(
    study: tuple[Study, Folders], search: Search, client: MlflowClient
) -> None:
    tracking.run(*study)
    (report,) = search("tags.level = 'report'")
    found = {
        item.path
        for folder in ("", "figures/builtin_llava", "tables")
        for item in client.list_artifacts(report.info.run_id, folder)
    }
    assert {"summary.csv", "figures/builtin_llava/accuracy.png", "tables/main.tex"} <= found
    note = report.data.tags["mlflow.note.content"]
    assert "| builtin_llava | ATP 25% | 64 | 0.58 | 82.5 |" in note
    experiment = client.get_experiment_by_name("synthetic")
    assert experiment is not None
    assert experiment.tags["mlflow.note.content"] == note
    assert (study[1].study / "mlartifacts").is_dir()


def test_a_parent_is_described_by_its_row_of_the_headline_table(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    (atp,) = search("tags.level = 'method' AND params.method = 'atp_25'")
    note = atp.data.tags["mlflow.note.content"]
    assert "| builtin_llava | ATP 25% | 64 | 0.58 | 82.5 |" in note
    assert "| Full |" not in note
    assert "keep 0.25, alpha 0.5" in note


def test_every_number_of_the_headline_table_is_a_metric(study: tuple[Study, Folders], search: Search) -> None:
    path = study[1].reports / "summary.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text(
        "\n".join([f"{head},speedup_low,retention,best", *(f"{row},1.5,93.5,colour" for row in rows)]) + "\n"
    )
    tracking.run(*study)
    (atp,) = search("tags.level = 'method' AND params.method = 'atp_25'")
    found = {name: value for name, value in atp.data.metrics.items() if name.startswith(("cost/", "headline/"))}
    assert found == {
        "cost/visual_tokens": 64, "cost/flops": 1.5e9, "cost/flops_ratio": 0.58, "cost/speedup_low": 1.5,
        "headline/accuracy_clean": 82.5, "headline/retention": 93.5,
    }  # fmt: skip


def test_the_newest_runs_are_the_parents_in_the_order_of_params(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    newest = sorted(search(), key=lambda run: -run.info.start_time)
    assert [run.info.run_name for run in newest[:3]] == ["full", "atp_25", "report"]


def test_running_twice_adds_nothing(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    receipt = (study[1].reports / "tracking.json").read_bytes()
    before = {run.info.run_id: run.to_dictionary() for run in search()}
    assert len(before) == RUNS
    tracking.run(*study)
    assert {run.info.run_id: run.to_dictionary() for run in search()} == before
    assert (study[1].reports / "tracking.json").read_bytes() == receipt


def test_a_changed_result_supersedes_its_old_run(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    before = {run.data.tags["cell_id"]: run.info.run_id for run in search()}
    change_score(study[1])
    tracking.run(*study)
    after = {run.data.tags["cell_id"]: run.info.run_id for run in search(CURRENT)}
    changed = {cell for cell in before if before[cell] != after[cell]}
    assert changed == {"builtin_llava/atp_25", "builtin_llava/atp_25/fog_3"}
    old = {run.data.tags["cell_id"]: run for run in search("tags.superseded_by IS NOT NULL")}
    assert {cell: run.data.tags["superseded_by"] for cell, run in old.items()} == {
        cell: after[cell] for cell in changed
    }
    children = search(f"{CURRENT} AND tags.mlflow.parentRunId = '{after['builtin_llava/atp_25']}'")
    assert len(children) == len(CONDITIONS)
    (fog,) = search(f"{CURRENT} AND params.perturbation = 'fog' AND params.severity = '3' AND params.method = 'atp_25'")
    assert fog.data.metrics["accuracy/all"] == 11.5


def test_a_method_that_left_the_study_is_superseded_by_its_report(study: tuple[Study, Folders], search: Search) -> None:
    settings, folders = study
    original = (folders.scores / "summary.csv").read_text()
    tracking.run(*study)
    before = {run.data.tags["cell_id"]: run.info.run_id for run in search(CURRENT)}
    kept = [line for line in original.splitlines() if not line.startswith("builtin_llava,atp_25,")]
    (folders.scores / "summary.csv").write_text("\n".join(kept) + "\n")
    methods = {name: method for name, method in settings.methods.items() if name != "atp_25"}
    tracking.run(settings.model_copy(update={"methods": methods}), folders)
    now = {run.data.tags["cell_id"]: run.info.run_id for run in search(CURRENT)}
    assert before.keys() - now.keys() == {cell for cell in before if cell.startswith("builtin_llava/atp_25")}
    gone = search("tags.superseded_by IS NOT NULL AND params.method = 'atp_25'")
    assert {run.data.tags["superseded_by"] for run in gone} == {now["report"]}
    (folders.scores / "summary.csv").write_text(original)
    tracking.run(*study)
    assert before.items() <= {run.data.tags["cell_id"]: run.info.run_id for run in search(CURRENT)}.items()


def test_a_clock_set_back_does_not_put_the_new_result_below_the_old(
    study: tuple[Study, Folders], search: Search
) -> None:
    tracking.run(*study)
    change_score(study[1])
    for moment in (0, 10**9):
        os.utime(study[1].scores / "summary.csv", (moment, moment))
        tracking.run(*study)
    newest = sorted(search(), key=lambda run: -run.info.start_time)
    assert [run.info.run_name for run in newest[:2]] == ["atp_25", "atp_25 / fog_3"]
    assert "superseded_by" not in newest[0].data.tags
    (atp,) = search(f"{CURRENT} AND tags.level = 'method' AND params.method = 'atp_25'")
    assert atp.info.run_id == newest[0].info.run_id


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
    assert len(search()) == RUNS + 2 + len(others)


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
    (experiment,) = [found for found in client.search_experiments() if found.name.startswith("s" * 100)]
    (run,) = client.search_runs([experiment.experiment_id], "tags.level = 'method' AND params.pruner = 'noted'")
    assert "accuracy/colour/red:2c green :28b:29/clean" in run.data.metrics
    assert (run.data.params["method"], run.data.params["seed"], run.data.params["option.seed"]) == (long_name, "7", "3")
    assert "(7000 characters, SHA-256 " in run.data.params["note"]
    text = Path(url2pathname(urlsplit(run.info.artifact_uri).path), "summary.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {len(row) for row in rows} == {10}
    assert "accuracy/colour/red, green (b)" in {row["metric"] for row in rows}
    before = len(client.search_runs([experiment.experiment_id]))
    tracking.run(settings.model_copy(update={"study": named, "methods": methods}), folders)
    assert len(client.search_runs([experiment.experiment_id])) == before


def test_going_back_revives_the_first_run(study: tuple[Study, Folders], search: Search) -> None:
    original = (study[1].scores / "summary.csv").read_text()
    tracking.run(*study)
    before = {run.data.tags["cell_id"]: run.info.run_id for run in search(CURRENT)}
    change_score(study[1])
    tracking.run(*study)
    (study[1].scores / "summary.csv").write_text(original)
    tracking.run(*study)
    assert {run.data.tags["cell_id"]: run.info.run_id for run in search(CURRENT)} == before
    assert len(search()) == RUNS + 2


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
    runs = search()
    assert len(runs) == RUNS
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_the_receipt_depends_on_results_alone(study: tuple[Study, Folders], client: MlflowClient) -> None:
    tracking.run(*study)
    first = files.read_json(study[1].reports / "tracking.json")
    assert first["runs"] == RUNS
    assert set(first["parents"]) == {"builtin_llava/full", "builtin_llava/atp_25", "report"}
    text = str(first)
    assert str(study[1].study) not in text
    change_score(study[1])
    tracking.run(*study)
    second = files.read_json(study[1].reports / "tracking.json")
    assert {name for name in first["parents"] if first["parents"][name] != second["parents"][name]} == {
        "builtin_llava/atp_25"
    }


def test_a_missing_table_is_named(study: tuple[Study, Folders]) -> None:
    (study[1].scores / "summary.csv").unlink()
    with pytest.raises(PruneProofError, match=r"summary\.csv is missing"):
        tracking.run(*study)
