"""The tables that `make ui` gives links to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from pruneproof import tracking
from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.tracking import ui

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def test_the_printed_links_open_tables_of_what_is_recorded(
    study: tuple[Study, Folders],
    client: MlflowClient,
    search: Callable[..., list[Run]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tracking.run(*study)
    monkeypatch.setattr(os, "execv", lambda *_: None)
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")
    monkeypatch.chdir(study[1].study)
    ui.serve(study[1].study, 5099)
    said = capsys.readouterr().out
    links = [word for word in said.split() if word.startswith("http://127.0.0.1:5099/#/experiments/")]
    assert "Which method holds up best (synthetic):" in said
    for link, name in zip(links, ("synthetic", "synthetic.conditions"), strict=True):
        place, _, query = urlsplit(link).fragment.partition("?")
        experiment = client.get_experiment(place.split("/")[2])
        assert experiment.name == name
        state = json.loads(experiment.tags[f"mlflow.sharedViewState.{parse_qs(query)['viewStateShareKey'][0]}"])
        runs = search(state["searchFilter"], name)
        assert runs
        has = {"attributes.`Dataset`", "attributes.`Run Name`"}
        has |= {f"metrics.`{key}`" for run in runs for key in run.data.metrics}
        has |= {f"params.`{key}`" for run in runs for key in run.data.params}
        unmeasured = {"metrics.`headline/hallucination_matched`"}  # not in the table of this study
        assert {*state["columnOrder"], state["orderByKey"]} - unmeasured <= has
        assert set(state["selectedColumns"]) <= set(state["columnOrder"]) == set(state["columnWidths"])


def test_a_store_without_such_tables_is_opened_where_mlflow_begins(
    study: tuple[Study, Folders], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: None)
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")
    monkeypatch.chdir(study[1].study)
    database = study[1].study / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    ui.serve(study[1].study, 5099)
    assert capsys.readouterr().out.startswith("MLflow: http://127.0.0.1:5099 (")
