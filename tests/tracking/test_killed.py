"""Recordings that are killed, at whatever moment: the next one ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pruneproof.folders import Folders
from pruneproof.settings import Study

if TYPE_CHECKING:
    from mlflow.entities import Run

CHILD = """
import json, os, random, signal, sys
from pathlib import Path

import mlflow.store.tracking.sqlalchemy_store
from sqlalchemy import event
from sqlalchemy.engine import Engine

from pruneproof import tracking
from pruneproof.folders import Folders
from pruneproof.study import load_study

folder, kills = Path(sys.argv[1]), json.loads(sys.argv[2])
study = load_study(folder)


def record(last=None):
    # A process of its own, killed as it sends its statement number `last`; says how many it sent.
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def counted(*_):
            nonlocal count
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", counted)
        event.listen(Engine, "commit", counted)
        tracking.run(study, Folders(folder))
        os.write(sender, str(count).encode())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    os.close(sender)
    with os.fdopen(receiver) as answer:
        return os.waitstatus_to_exitcode(status), answer.read()


print(json.dumps([record(kill) for kill in kills] + [record()]))
"""


def record(folder: Path, kills: list[int]) -> list[tuple[int, str]]:
    """Exit code and number of statements of each recording: one killed at each of `kills`, then one left alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), json.dumps(kills)],
        capture_output=True, text=True, check=False, env=kept | {"MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(code, count) for code, count in json.loads(done.stdout)]


def state(folder: Path) -> list[Any]:
    """All runs and models as a reader sees them, without ids: what they hold, whose they are, what replaced them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    ids = [found.experiment_id for found in client.search_experiments() if found.name.startswith("synthetic")]
    runs, models = list(client.search_runs(ids)), list(client.search_logged_models(ids))
    names: dict[str, Any] = {
        run.info.run_id: [run.data.tags[name] for name in ("level", "cell_id", "cell_hash")] for run in runs
    }
    names |= {model.model_id: [model.tags["cell_id"], model.status] for model in models}

    def seen(run: Run) -> dict[str, Any]:
        notes = {"mlflow.note.content": run.data.tags.get("mlflow.note.content", "").replace(run.info.run_id, "")}
        tags = {name: names.get(value, value) for name, value in {**run.data.tags, **notes}.items()}
        files = [(item.path, item.file_size) for item in client.list_artifacts(run.info.run_id)]
        return {
            "tags": tags, "params": run.data.params, "metrics": run.data.metrics, "files": files,
            "status": run.info.status, "start": run.info.start_time, "end": run.info.end_time,
        }  # fmt: skip

    held = [
        [names[model.source_run_id], sorted([m.key, m.dataset_name, m.step, m.value] for m in model.metrics)]
        for model in models
    ]
    return [sorted((seen(run) for run in runs), key=str), sorted(held, key=str)]


@pytest.mark.slow
@pytest.mark.parametrize("begun", ["without a store", "with an empty store", "with older results"])
def test_a_recording_killed_at_any_statement_is_completed(
    study: tuple[Study, Folders], tmp_path_factory: pytest.TempPathFactory, begun: str
) -> None:
    folder = study[1].study
    scores = study[1].scores / "summary.csv"
    if begun == "without a store":
        (folder / "mlflow.db").unlink()
    if begun == "with older results":
        record(folder, [])
        scores.write_text(
            scores.read_text().replace("atp_25,image,fog,3,accuracy/all,", "atp_25,image,fog,3,accuracy/all,1")
        )
    os.utime(scores, (1.7e9, 1.7e9))
    undisturbed = tmp_path_factory.mktemp("undisturbed") / "study"
    shutil.copytree(folder, undisturbed)
    ((code, count),) = record(undisturbed, [])
    assert code == 0
    chance = random.Random(begun)
    soon = [chance.randint(1, int(count) // 10) for _ in range(8)]
    # The long one gets beyond the making of the tables, which otherwise starts again each time.
    ended = record(folder, [*soon[:3], int(count) * 3 // 4, *soon[3:]])
    assert [code for code, _ in ended].count(-9) >= 5
    assert ended[-1][0] == 0
    assert state(folder) == state(undisturbed)
    assert (folder / "reports/tracking.json").read_bytes() == (undisturbed / "reports/tracking.json").read_bytes()
    assert sorted(path.name for path in folder.glob("mlflow.db*")) == sorted(
        path.name for path in undisturbed.glob("mlflow.db*")
    )
