"""Writing runs to MLflow so that a second recording finds the first."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.tracking import address, database, names
from pruneproof.tracking.runs import PlannedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH = 500
"""Metrics in one request; MLflow's limit is 1000."""
PARAMS_BATCH = 100
"""Parameters in one request, which is MLflow's limit."""
PARENT = "mlflow.parentRunId"
STAGE = "record_runs"
"""The tag `stage` of every run that is ours; others of the experiment are left alone."""
OPEN_SECONDS = 30.0
"""How long a store that is not the study's own may take to open: MLflow tries a dead database for minutes."""
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Errors are reported in one line; MLflow would write tracebacks, and addresses with their passwords.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""MLflow's own defaults report home and try a dead server for minutes."""


def record(folders: Folders, experiment: str, planned: Sequence[PlannedRun], started: int, note: str) -> None:
    """Bring MLflow to the state that `planned` describes.

    Args:
        folders: the study's, absolute; the local store lies in its folder.
        experiment: name of the MLflow experiment.
        planned: parents before their children.
        started: start of the first run in milliseconds since 1970; each further run starts a millisecond earlier, so
            that the UI, newest first, lists them in the order given. If runs that these replace started later (the
            clock was set back since), they start after those.
        note: description of the experiment in Markdown.

    Raises:
        PruneProofError: if MLflow does not answer or refuses, or another process is recording the study.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    local = folders.study / "mlflow.db"
    with _one_line(address.given() or str(local)), database.alone(local):
        place = None if address.given() else (folders.study / "mlartifacts" / names.experiment(experiment)).as_uri()
        with _store(local) as client:
            experiment_id = _experiment(client, names.experiment(experiment), place)
            note = names.value(note, names.EXPERIMENT_TAG_LENGTH)
            client.set_experiment_tag(experiment_id, "mlflow.note.content", note)
            _Recorder(client, experiment_id, planned, started).record()


@contextlib.contextmanager
def _one_line(where: str) -> Iterator[None]:
    """Report in one line what MLflow, its drivers, the network or the disk raise.

    Raises:
        PruneProofError: in place of any of these.
    """
    try:
        yield
    except PruneProofError:
        raise
    except OSError as error:
        raise address.unanswered(where, error.strerror or address.reason(error)) from error
    except Exception as error:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        if not isinstance(error, MlflowException | SQLAlchemyError):
            raise
        raise address.unanswered(where, address.reason(error)) from error


@contextlib.contextmanager
def _store(local: Path) -> Iterator[MlflowClient]:
    """A client of the store that MLFLOW_TRACKING_URI names, or else of the database `local`."""
    given = address.given()
    if address.is_server(given) and (why := address.server_fault(given)):
        raise address.unanswered(given, why)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = _sqlite_path(given) if given else local
    if path is not None:
        database.prepare(path, _make)
    if given:
        yield address.within(OPEN_SECONDS, lambda: _open(given))
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", database.write_ahead)
    try:
        with database.address_of(local) as uri:
            yield _open(uri)
    finally:
        event.remove(Engine, "connect", database.write_ahead)


def _sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite database; None for any other store.

    Raises:
        PruneProofError: if the database would vanish with the process.
    """
    if not uri.lower().startswith("sqlite:"):
        return None
    from sqlalchemy import make_url

    path = make_url(uri).database
    if not path or path == ":memory:":
        raise address.unanswered(uri, "it names no file")
    return Path(path).resolve()


def _open(uri: str) -> MlflowClient:
    """A client whose store answers.

    Raises:
        PruneProofError: if it cannot be opened, whatever the reason.
    """
    from mlflow import MlflowClient
    from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

    try:
        if "://" in uri and not address.is_server(uri):
            _connect(uri)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except UnsupportedModelRegistryStoreURIException as error:
        raise address.unanswered(uri, f"MLflow knows no such address: use {address.KNOWN}") from error
    except Exception as error:  # a missing driver, a port that is not a number, ...: each driver has its own errors
        raise address.unanswered(uri, address.reason(error)) from error
    return client


def _make(uri: str) -> None:
    """Let MLflow make its tables, and keep no connection to a file that gets another name next."""
    variable = "MLFLOW_SQLALCHEMYSTORE_POOLCLASS"
    before = os.environ.get(variable)
    os.environ[variable] = "NullPool"
    try:
        _open(uri)
    finally:
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before


def _connect(uri: str) -> None:
    """Connect once to a database: MLflow itself would try ten times in two minutes before it says what is wrong."""
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from sqlalchemy import create_engine

    if uri.partition(":")[0].partition("+")[0] in DATABASE_ENGINES:
        engine = create_engine(uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()


def _experiment(client: MlflowClient, name: str, place: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=place))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


class _Recorder:
    """One recording: knows the runs that exist and the ids of those that are current."""

    def __init__(self, client: MlflowClient, experiment_id: str, planned: Sequence[PlannedRun], started: int) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.planned = planned
        self.ids: dict[str, str] = {}
        self.existing: dict[str, list[Run]] = {}
        current = {run.cell_id: run.cell_hash for run in planned}
        newest = started
        for run in self._our_runs():
            tags = run.data.tags
            if run.info.status != "FINISHED":
                # From a recording that was killed; it will be written again.
                client.delete_run(run.info.run_id)
                continue
            self.existing.setdefault(tags["cell_id"], []).append(run)
            if tags.get("cell_hash") != current.get(tags["cell_id"]):
                newest = max(newest, run.info.start_time + len(planned))
        self.started = max(newest, len(planned))

    def record(self) -> None:
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        shown = track(self.planned, "recording", console=console, disable=not console.is_terminal)
        for index, run in enumerate(shown):
            self._settle(run, self.started - index)
        # A method or condition that left the study is no longer a result of it.
        for cell_id in self.existing.keys() - self.ids.keys():
            for left in self.existing[cell_id]:
                if "superseded_by" not in left.data.tags:
                    self.client.set_tag(left.info.run_id, "superseded_by", self.ids["report"])

    def _our_runs(self) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self.client.search_runs([self.experiment_id], max_results=5000, page_token=token)
            yield from (run for run in page if run.data.tags.get("stage") == STAGE and "cell_id" in run.data.tags)
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
        written: dict[str, Any] = {"stage": STAGE, **planned.tags, **planned.inputs, **identity}
        tags = {names.key(name): names.value(text, names.TAG_LENGTH) for name, text in written.items()}
        run = self.client.create_run(self.experiment_id, moment, tags, names.run(planned.name))
        run_id = str(run.info.run_id)
        params = [
            Param(names.key(name), names.value(str(content), names.PARAM_LENGTH))
            for name, content in planned.params.items()
        ]
        metrics = [Metric(names.key(name), value, moment, step) for name, value, step in planned.metrics]
        for first in range(0, len(params), PARAMS_BATCH):
            self.client.log_batch(run_id, params=params[first : first + PARAMS_BATCH])
        for first in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[first : first + BATCH])
        for name, content in planned.artifacts.items():
            if isinstance(content, Path):
                folder = str(Path(name).parent)
                self.client.log_artifact(run_id, str(content), None if folder == "." else folder)
            else:
                self.client.log_text(run_id, content, name)
        self.client.set_terminated(run_id, "FINISHED", moment)
        return run_id
