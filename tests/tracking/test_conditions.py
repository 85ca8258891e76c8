"""The experiment `<study>.conditions`: every number of the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pruneproof import tracking
from pruneproof.folders import Folders
from pruneproof.settings import Study

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Search = Callable[..., "list[Run]"]
CONDITIONS = ["clean", "dialogue_each_1", "dialogue_each_2", "fog_1", "fog_3", "typo_ocr_1", "typo_ocr_3"]
PLACE = "synthetic.conditions"
ATP = "tags.level = 'all conditions' AND params.method = 'atp_25'"


def test_parents_hold_curves_over_severity(study: tuple[Study, Folders], search: Search, client: MlflowClient) -> None:
    tracking.run(*study)
    (atp,) = search(ATP, PLACE)
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
    (atp,) = search(ATP, PLACE)
    children = search(f"tags.mlflow.parentRunId = '{atp.info.run_id}'", PLACE)
    assert sorted(run.data.tags["cell_id"].rpartition("/")[2] for run in children) == CONDITIONS
    (fog,) = search("params.perturbation = 'fog' AND params.severity = '3' AND params.method = 'atp_25'", PLACE)
    assert fog.data.params["family"] == "image"
    assert {"accuracy/all", "accuracy/colour", "hallucination/rate"} <= set(fog.data.metrics)


def test_figures_and_tables_are_artifacts_and_the_headline_is_a_note(
    study: tuple[Study, Folders], search: Search, client: MlflowClient
) -> None:
    tracking.run(*study)
    (report,) = search("tags.level = 'report'", PLACE)
    found = {
        item.path
        for folder in ("", "figures/builtin_llava", "tables")
        for item in client.list_artifacts(report.info.run_id, folder)
    }
    assert {"summary.csv", "figures/builtin_llava/effective_robustness.png", "tables/main.tex"} <= found
    note = report.data.tags["mlflow.note.content"]
    assert "| builtin_llava | ATP 25% | 64 | 0.58 | 82.5 |" in note
    experiment = client.get_experiment_by_name("synthetic")
    assert experiment is not None
    assert experiment.tags["mlflow.note.content"].endswith(note)
    assert (study[1].study / "mlartifacts").is_dir()


def test_every_number_of_the_headline_table_is_a_metric(study: tuple[Study, Folders], search: Search) -> None:
    path = study[1].reports / "summary.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text(
        "\n".join([f"{head},speedup_low,retention,best", *(f"{row},1.5,93.5,colour" for row in rows)]) + "\n"
    )
    tracking.run(*study)
    (atp,) = search(ATP, PLACE)
    found = {name: value for name, value in atp.data.metrics.items() if name.startswith(("cost/", "headline/"))}
    assert found == {
        "cost/visual_tokens": 64, "cost/flops": 1.5e9, "cost/flops_ratio": 0.58, "cost/speedup_low": 1.5,
        "headline/accuracy_clean": 82.5, "headline/retention": 93.5, "headline/effective_image": 1.25,
        "headline/effective_image_low": -0.5, "headline/effective_image_high": 2.75,
    }  # fmt: skip


def test_each_condition_has_a_dataset_of_its_own(study: tuple[Study, Folders], search: Search) -> None:
    tracking.run(*study)
    runs = search("tags.level = 'condition'", PLACE)
    shown = {
        run.info.run_id: [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs] for run in runs
    }
    assert {len(found) for found in shown.values()} == {1}
    names = {run.info.run_id: run.data.tags["cell_id"].rpartition("/")[2] for run in runs}
    digests = {names[run]: digest for run, ((_, digest),) in shown.items()}
    assert {run: f"scenes/{names[run]}" for run in shown} == {run: name for run, ((name, _),) in shown.items()}
    # Both methods were asked the same, and no two conditions are.
    assert len({found[0] for found in shown.values()}) == len(set(digests.values())) == len(CONDITIONS)
    assert {len(digest) for digest in digests.values()} == {32}
    pictures = study[1].corrupted / "fog_3.parquet"
    pictures.write_bytes(pictures.read_bytes() + b"changed")
    tracking.run(*study)
    fog = "params.perturbation = 'fog' AND tags.superseded_by IS NULL AND params.severity"
    for severity, same in (("1", True), ("3", False)):
        for run in search(f"{fog} = '{severity}'", PLACE):
            assert (run.inputs.dataset_inputs[0].dataset.digest == digests[f"fog_{severity}"]) is same
