"""Writing runs to MLflow so that a second recording finds the first."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.tracking.runs import PlannedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH = 500
"""Metrics in one request; MLflow's limit is 1000."""
PARENT = "mlflow.parentRunId"
PROBE_SECONDS = 3.0
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""MLflow's own defaults report home and try a dead server for minutes."""


def record(folders: Folders, experiment: str, planned: Sequence[PlannedRun], started: int, note: str) -> None:
    """Bring MLflow to the state that `planned` describes.

    Args:
        folders: the study's; the local store lies in its folder.
        experiment: name of the MLflow experiment.
        planned: parents before their children.
        started: start of the first run in milliseconds since 1970; each further run starts a millisecond earlier, so
            that the UI, newest first, lists them in the order given.
        note: description of the experiment in Markdown.

    Raises:
        PruneProofError: if MLflow does not answer or refuses.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    address = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if address.startswith(("http://", "https://")):
        probe(address)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    folder = folders.study.resolve()
    if not address:
        event.listen(Engine, "connect", _write_ahead)
    client = MlflowClient(tracking_uri=address or f"sqlite:///{folder / 'mlflow.db'}")
    try:
        place = None if address else (folder / "mlartifacts" / experiment).as_uri()
        experiment_id = _experiment(client, experiment, place)
        client.set_experiment_tag(experiment_id, "mlflow.note.content", note)
        _Recorder(client, experiment_id, started).record(planned)
    except MlflowException as error:
        raise PruneProofError(unanswered(address or "mlflow.db", str(error).splitlines()[0])) from error
    finally:
        if not address:
            event.remove(Engine, "connect", _write_ahead)


def _write_ahead(connection: Any, _: object) -> None:
    """Let sqlite write ahead: MLflow commits nine times a run, and each would wait for the disk."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def unanswered(address: str, reason: str) -> str:
    """The one line that a user reads when MLflow cannot be written to."""
    return (
        f"MLflow at {address} cannot be written to ({reason}): all results are complete in data/ and reports/; "
        "mend it or unset MLFLOW_TRACKING_URI, then run `dvc repro record_runs`"
    )


def probe(address: str) -> None:
    """Ask a server once whether it is there.

    Raises:
        PruneProofError: if it does not answer within a few seconds.
    """
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=PROBE_SECONDS):
            return
    except urllib.error.HTTPError as error:
        # Anything below 500 comes from a server that is alive, perhaps behind a log-in.
        if error.code < 500:
            return
        raise PruneProofError(unanswered(address, f"HTTP {error.code}")) from None
    except (OSError, ValueError) as error:
        raise PruneProofError(unanswered(address, str(getattr(error, "reason", error)))) from None


def _experiment(client: MlflowClient, name: str, place: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=place))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


class _Recorder:
    """One recording: knows the runs that exist and the ids of those that are current."""

    def __init__(self, client: MlflowClient, experiment_id: str, started: int) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.started = started
        self.ids: dict[str, str] = {}
        self.existing: dict[str, list[Run]] = {}
        for run in self._all_runs():
            if run.info.status != "FINISHED":
                # Left behind by a recording that was killed; it will be written again.
                client.delete_run(run.info.run_id)
            elif "cell_id" in run.data.tags:
                self.existing.setdefault(run.data.tags["cell_id"], []).append(run)

    def record(self, planned: Sequence[PlannedRun]) -> None:
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        for index, run in enumerate(track(planned, "recording", console=console, disable=not console.is_terminal)):
            self._settle(run, self.started - index)
        # A method or condition that left the study is no result of it any more.
        for cell_id in self.existing.keys() - self.ids.keys():
            for left in self.existing[cell_id]:
                if "superseded_by" not in left.data.tags:
                    self.client.set_tag(left.info.run_id, "superseded_by", self.ids["report"])

    def _all_runs(self) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment_id], max_results=5000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _settle(self, planned: PlannedRun, moment: int) -> None:
        """Make `planned` the current run of its cell."""
        found = self.existing.get(planned.cell_id, [])
        same = next((run for run in found if run.data.tags.get("cell_hash") == planned.cell_hash), None)
        parent = self.ids[planned.parent] if planned.parent else None
        if same is None:
            current = self._create(planned, parent, moment)
        else:
            current = same.info.run_id
            if "superseded_by" in same.data.tags:
                self.client.delete_tag(current, "superseded_by")
            # An unchanged condition follows its method to the run that replaced the old parent.
            if parent and same.data.tags.get(PARENT) != parent:
                self.client.set_tag(current, PARENT, parent)
        self.ids[planned.cell_id] = current
        for run in found:
            if run is not same and run.data.tags.get("superseded_by") != current:
                self.client.set_tag(run.info.run_id, "superseded_by", current)

    def _create(self, planned: PlannedRun, parent: str | None, moment: int) -> str:
        from mlflow.entities import Metric, Param

        identity = {"cell_id": planned.cell_id, "cell_hash": planned.cell_hash, **({PARENT: parent} if parent else {})}
        tags: dict[str, Any] = {**planned.tags, **planned.inputs, **identity}
        run_id: str = self.client.create_run(self.experiment_id, moment, tags, planned.name).info.run_id
        params = [Param(key, str(value)) for key, value in planned.params.items()]
        metrics = [Metric(key, value, moment, step) for key, value, step in planned.metrics]
        for first in range(0, max(len(metrics), 1), BATCH):
            self.client.log_batch(run_id, metrics[first : first + BATCH], params if first == 0 else ())
        for name, content in planned.artifacts.items():
            if isinstance(content, Path):
                folder = str(Path(name).parent)
                self.client.log_artifact(run_id, str(content), None if folder == "." else folder)
            else:
                self.client.log_text(run_id, content, name)
        self.client.set_terminated(run_id, "FINISHED", moment)
        return run_id
