from __future__ import annotations

import importlib.util
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pruneproof import files
from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The made-up study of the reporting tests; tests are not packages, so it is loaded by its place."""
    name = "pruneproof_synthetic"
    if name not in sys.modules:
        place = Path(__file__).parents[1] / "reporting" / "synthetic.py"
        spec = importlib.util.spec_from_file_location(name, place)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def grid(synthetic: ModuleType) -> Any:
    methods = {name: synthetic.METHODS[name] for name in ("full", "atp_25")}
    return synthetic.Grid(
        corruptions=("fog",), rewordings=("typo_ocr",), severities=(1, 3), methods=methods, images=2,
        dialogues=("each",), turns=2,
    )  # fmt: skip


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without experiments: making its tables takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store.record(Folders(folder), "unused", [], 0, {"methods": "", "conditions": ""})
    # Everything must be in the one file that is copied.
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / "mlflow.db"


@pytest.fixture
def study(
    synthetic: ModuleType, grid: Any, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Study, Folders]:
    """A scored and reported study with an empty store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings, folders = synthetic.write(tmp_path, grid)
    rows = [
        f"builtin_llava,{name},{label},64,1.5e9,{ratio},82.5,+0.8,{effective}"
        for name, label, ratio, effective in (
            ("full", "Full", 1.0, ",,"),
            ("atp_25", "ATP 25%", 0.58, "1.25,-0.5,2.75"),
        )
    ]
    columns = "effective_image,effective_image_low,effective_image_high"
    header = f"backbone,method,label,visual_tokens,flops,flops_ratio,accuracy_clean,extra_drop_image,{columns}"
    files.write_text(folders.reports / "summary.csv", "\n".join([header, *rows]) + "\n")
    for name in ("effective_robustness", "scatter"):
        files.write_text(folders.reports / "figures" / "builtin_llava" / f"{name}.png", "a picture")
    files.write_text(folders.reports / "tables" / "main.tex", "a table")
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return settings, folders


@pytest.fixture
def client(study: tuple[Study, Folders]) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{study[1].study / 'mlflow.db'}")


@pytest.fixture
def search(client: MlflowClient) -> Callable[..., list[Run]]:
    """Runs of the experiment of methods, or of another; of both if it is None."""

    def found(filters: str = "", experiment: str | None = "synthetic") -> list[Run]:
        names = ["synthetic", "synthetic.conditions"] if experiment is None else [experiment]
        ids = [one.experiment_id for name in names if (one := client.get_experiment_by_name(name))]
        assert len(ids) == len(names)
        return list(client.search_runs(ids, filters))

    return found
