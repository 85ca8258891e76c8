"""The experiment `<study>`: one run and one model a backbone and method, which answer what holds up best."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from pruneproof import files, tracking
from pruneproof.folders import Folders
from pruneproof.settings import Study

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Made = tuple[Study, Folders]
Search = Callable[..., "list[Run]"]
ATP = "params.method = 'atp_25' AND tags.superseded_by IS NULL"


def scored(study: Made, *where: str) -> dict[str, float]:
    """`value`, `low` and `high` of one row of the scores."""
    (line,) = (
        line for line in (study[1].scores / "summary.csv").read_text().splitlines() if line.startswith(",".join(where))
    )
    return dict(zip(("value", "low", "high"), map(float, line.split(",")[6:9]), strict=True))


def test_one_run_a_backbone_and_method_with_the_headline_first(study: Made, search: Search) -> None:
    tracking.run(*study)
    assert {run.data.params["method"] for run in search()} == {"full", "atp_25"}
    assert len(search()) == 2
    (atp,) = search(ATP)
    names = sorted(atp.data.metrics)
    assert names[:3] == ["headline/accuracy_clean", "headline/effective_robustness", "headline/flops_ratio"]
    assert {name: atp.data.metrics[name] for name in names if not name.startswith("severity/")} == {
        "headline/accuracy_clean": 82.5, "headline/effective_robustness": 1.25, "headline/flops_ratio": 0.58,
        "low/effective_robustness": -0.5, "high/effective_robustness": 2.75,
    }  # fmt: skip
    assert {float(atp.data.params[key]) for key in ("keep", "alpha")} == {0.25, 0.5}
    assert (atp.data.params["kind"], atp.data.tags["mlflow.runColor"]) == ("text-guided", "#d0278e")


def test_its_curves_over_severity_have_intervals_and_steps_a_second_apart(
    study: Made, search: Search, client: MlflowClient
) -> None:
    effective = study[1].scores / "effective.csv"
    row = "builtin_llava,atp_25,image,{},3,80,70,69,{},{},{},0.5,,false"
    head = "backbone,method,family,severity,conditions,clean,perturbed,predicted,value,low,high,p,p_holm,primary"
    rows = [row.format(1, 0.5, -1, 2), row.format(3, 1.5, 1, 3), row.format("mean", 1, 0, 2)]
    effective.write_text("\n".join([head, *rows, rows[0].replace("image", "text")]) + "\n")
    tracking.run(*study)
    (atp,) = search(ATP)

    def history(name: str) -> dict[int, float]:
        points = client.get_metric_history(atp.info.run_id, f"severity/{name}")
        assert {point.timestamp - atp.info.start_time - 1000 * point.step for point in points} == {0}
        return {point.step: point.value for point in points}

    for end, column in (("", "value"), ("_low", "low"), ("_high", "high")):
        assert history(f"accuracy{end}") == {
            0: scored(study, "builtin_llava,atp_25,clean,clean,0,accuracy/all,")[column],
            1: scored(study, "builtin_llava,atp_25,image,mean,1,accuracy/all,")[column],
            3: scored(study, "builtin_llava,atp_25,image,mean,3,accuracy/all,")[column],
        }
    assert history("effective_robustness") == {1: 0.5, 3: 1.5}
    assert history("effective_robustness_low") == {1: -1, 3: 1}


def test_it_is_described_by_its_row_of_the_headline_table_and_a_figure(
    study: Made, search: Search, client: MlflowClient
) -> None:
    tracking.run(*study)
    (atp,) = search(ATP)
    note = atp.data.tags["mlflow.note.content"]
    assert "| builtin_llava | ATP 25% | 64 | 0.58 | 82.5 |" in note
    assert "| Full |" not in note
    assert "keep 0.25, alpha 0.5" in note
    shown = re.findall(r"!\[[^]]*\]\(get-artifact\?path=(\S+)&run_uuid=(\w+)\)", note)
    assert shown == [("figures/effective_robustness.png", atp.info.run_id)]
    assert [item.path for item in client.list_artifacts(atp.info.run_id, "figures")] == [shown[0][0]]


def test_a_changed_figure_takes_the_place_of_the_old_one(study: Made, search: Search) -> None:
    tracking.run(*study)
    before = {run.info.run_id for run in search()}
    files.write_text(study[1].reports / "figures" / "builtin_llava" / "effective_robustness.png", "another picture")
    tracking.run(*study)
    assert {run.info.run_id for run in search()} == before
    (atp,) = search(ATP)
    folder = Path(url2pathname(urlsplit(atp.info.artifact_uri).path))
    assert (folder / "figures" / "effective_robustness.png").read_text() == "another picture"


def test_durations_are_latency_times_questions(study: Made, search: Search) -> None:
    """Two questions of a picture take 0.3 seconds; the table says how many were asked."""
    latency = study[1].costs / "latency.csv"
    head = "backbone,method,batch,median_s,low_s,high_s,ratio_full_over_this,ratio_low,ratio_high"
    rows = [f"builtin_llava,{name},{batch},0.{batch + 1},0,0,1,1,1" for name in ("full", "atp_25") for batch in (1, 2)]
    latency.write_text("\n".join([head, *rows]) + "\n")
    tracking.run(*study)

    def seconds(run: Run) -> float:
        return float(run.info.end_time - run.info.start_time) / 1000

    (fog,) = search(f"{ATP} AND params.perturbation = 'fog' AND params.severity = '3'", "synthetic.conditions")
    assert seconds(fog) == pytest.approx(320 * 0.3 / 2)
    (atp,) = search(ATP)
    assert seconds(atp) == pytest.approx(7 * 320 * 0.3 / 2)
    finished = (study[1].scores / "summary.csv").stat().st_mtime * 1000
    assert atp.info.end_time == pytest.approx(finished, abs=10)
    latency.unlink()
    latency.write_text(head + "\n")
    tracking.run(*study)  # what is recorded stays, since the results are the same
    assert {run.info.run_id for run in search(ATP)} == {atp.info.run_id}


def models(client: MlflowClient) -> dict[str, Any]:
    """The models of the experiment of methods, by the cell that they are about."""
    experiment = client.get_experiment_by_name("synthetic")
    assert experiment is not None
    found = client.search_logged_models([experiment.experiment_id])
    by_cell = {model.tags["cell_id"]: model for model in found}
    assert len(by_cell) == len(found)
    return by_cell


def values(model: Any) -> dict[tuple[str, str, int], float]:
    """A model's values by metric, dataset and step."""
    assert len({(m.key, m.dataset_name, m.step, m.run_id) for m in model.metrics}) == len(model.metrics)
    return {(metric.key, metric.dataset_name, metric.step): metric.value for metric in model.metrics}


def test_a_model_has_the_values_of_its_method_with_their_datasets(
    study: Made, search: Search, client: MlflowClient
) -> None:
    tracking.run(*study)
    found = models(client)
    assert set(found) == {"builtin_llava/full", "builtin_llava/atp_25"}
    model = found["builtin_llava/atp_25"]
    (atp,) = search(ATP)
    assert (model.status, model.source_run_id, model.name) == ("READY", atp.info.run_id, "builtin_llava atp_25")
    assert model.params["alpha"] == "0.5"
    assert [output.model_id for output in atp.outputs.model_outputs] == [model.model_id]
    has = values(model)
    assert has["headline/effective_robustness", "scenes/corrupted", 0] == 1.25
    assert has["headline/accuracy_clean", "scenes/clean", 0] == 82.5
    fog = scored(study, "builtin_llava,atp_25,image,fog,3,accuracy/all,")["value"]
    assert has["accuracy/all", "scenes/fog_3", 3] == fog
    conditions = {name for key, name, _ in has if key == "accuracy/all"}
    assert len(conditions) == 7


def test_the_model_of_a_changed_method_has_all_values_and_the_old_one_is_gone(
    study: Made, search: Search, client: MlflowClient
) -> None:
    tracking.run(*study)
    before = models(client)
    path = study[1].scores / "summary.csv"
    original = path.read_text()
    path.write_text(re.sub(r"(?m)^(builtin_llava,atp_25,image,fog,3,accuracy/all,).*", r"\g<1>11.5,,,320", original))
    tracking.run(*study)
    after = models(client)
    assert after["builtin_llava/full"].model_id == before["builtin_llava/full"].model_id
    assert after["builtin_llava/atp_25"].model_id != before["builtin_llava/atp_25"].model_id
    now, then = values(after["builtin_llava/atp_25"]), values(before["builtin_llava/atp_25"])
    assert now == {**then, ("accuracy/all", "scenes/fog_3", 3): 11.5}
    for run in search("tags.superseded_by IS NULL", None):
        for name in ("severity/accuracy", "accuracy/all"):
            points = client.get_metric_history(run.info.run_id, name)
            assert len({point.step for point in points}) == len(points)
    path.write_text(original)
    tracking.run(*study)
    again = models(client)
    assert values(again["builtin_llava/atp_25"]) == then
    tracking.run(*study)
    assert {cell: model.model_id for cell, model in models(client).items()} == {
        cell: model.model_id for cell, model in again.items()
    }
