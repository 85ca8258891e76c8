"""Opening the store of MLflow that runs go to; whatever is wrong with it is said in one line."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pruneproof.errors import PruneProofError, failure
from pruneproof.folders import Folders
from pruneproof.tracking import address, database, drivers, names, views
from pruneproof.tracking.planned import Place, PlannedRun
from pruneproof.tracking.recorder import Recorder

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

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


def record(
    folders: Folders, study: str, planned: Sequence[PlannedRun], finished: int, notes: Mapping[Place, str]
) -> None:
    """Bring MLflow to the state that `planned` describes.

    Args:
        folders: the study's, absolute; the local store lies in its folder.
        study: its name.
        planned: whatever a run refers to before it.
        finished: when the last result was finished, in milliseconds since 1970.
        notes: descriptions of the experiments in Markdown.

    Raises:
        PruneProofError: if MLflow does not answer or refuses, or another process is recording the study.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    local = folders.study / "mlflow.db"
    with _one_line(address.given() or str(local)), database.alone(local), _store(local) as client:
        experiments = {
            place: _experiment(client, name, None if address.given() else folders.study / "mlartifacts" / name)
            for place, name in experiment_names(study).items()
        }
        for place, experiment_id in experiments.items():
            view = views.VIEWS[place]
            for key, text in {
                "mlflow.note.content": names.value(notes[place], names.EXPERIMENT_TAG_LENGTH),
                "mlflow.experimentKind": "custom_model_development",
                f"{views.TAG}{view.key}": view.state(),
            }.items():
                client.set_experiment_tag(experiment_id, key, text)
        Recorder(client, experiments, planned, finished).record()
    if address.is_server(address.given()):
        link = views.link(address.masked(address.given()), experiments["methods"], views.VIEWS["methods"].key)
        log.info("recorded; which method holds up best: %s", link)


def experiment_names(study: str) -> dict[Place, str]:
    """The names of a study's experiments."""
    return {"methods": names.experiment(study), "conditions": names.experiment(conditions_of(study))}


def conditions_of(study: str) -> str:
    """The experiment with the runs of conditions, before it is cut to MLflow's length."""
    return f"{study}.conditions"


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
        why = failure(error) if error.filename else error.strerror or address.reason(error)
        raise address.unanswered(where, why) from error
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
        client = address.within(OPEN_SECONDS, lambda: _open(given))
        yield cast("MlflowClient", InTime(client, _call_seconds())) if address.is_server(given) else client
        return
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", database.write_ahead)
    try:
        with database.address_of(local) as uri:
            yield _open(uri)
    finally:
        event.remove(Engine, "connect", database.write_ahead)


class InTime:
    """A client whose calls end in time, also where a server sends its answer byte by byte: MLflow bounds the time from
    one byte to the next."""

    def __init__(self, client: MlflowClient, seconds: float) -> None:
        """A client with the methods of another.

        Args:
            client: the other.
            seconds: that a call may take.
        """
        self._client, self._seconds = client, seconds

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method.

        Raises:
            TimeoutError: when it is called, if it is not done in time.
        """
        method = getattr(self._client, name)
        return lambda *given, **named: address.within(self._seconds, lambda: method(*given, **named))


def _call_seconds() -> float:
    """Time for what MLflow tries, three times by default, and for the pauses between."""
    try:
        timeout, retries = (float(os.environ[f"MLFLOW_HTTP_REQUEST_{name}"]) for name in ("TIMEOUT", "MAX_RETRIES"))
    except ValueError:  # which MLflow itself reports
        timeout, retries = 30, 2
    return (retries + 2) * timeout


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

    if why := drivers.lacking(uri):
        raise address.unanswered(uri, why)
    try:
        if "://" in uri and not address.is_server(uri):
            _connect(uri)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # a wrong password, a host that is not there, ...: each driver has its own errors
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


def _experiment(client: MlflowClient, name: str, place: Path | None) -> str:
    """The id of an experiment, which is made if there is none, with its artifacts in a folder if one is given."""
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, artifact_location=place.as_uri() if place else None))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)
