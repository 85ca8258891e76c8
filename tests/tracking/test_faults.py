"""What is wrong with MLflow, the network or the disk is reported in one line, in seconds, and nothing is lost."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pruneproof import tracking
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.settings import Study
from pruneproof.tracking import address, database, store

Made = tuple[Study, Folders]


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """The import of MLflow is not what is timed."""
    pytest.importorskip("mlflow.store.tracking.sqlalchemy_store")


def said(study: Made) -> str:
    """The one line that a failed recording says."""
    started = time.monotonic()
    with pytest.raises(PruneProofError) as error:
        tracking.run(*study)
    assert time.monotonic() - started < 10
    message = str(error.value)
    assert "\n" not in message
    assert "dvc repro --single-item record_runs" in message
    assert "results are complete" in message
    assert not (study[1].reports / "tracking.json").exists()
    return message


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a service that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("http://me:secret@127.0.0.1:9", "MLflow at http://***@127.0.0.1:9 cannot be written to ([Errno"),
        ("http://127.0.0.1:abc", "'abc'"),
        ("./mlruns", "MLFLOW_TRACKING_URI is './mlruns': MLflow knows no such address: use http://"),
        ("http//x", "(did you mean 'http://x'?)"),
        ("foo://bar", "MLflow knows no such address: use http://"),
        ("postgresql://me:secret@127.0.0.1:9/runs", "postgresql://***@127.0.0.1:9/runs"),
        ("postgresql+nodriver://127.0.0.1/runs", "nodriver"),
        ("mysql://127.0.0.1:port/runs", "'port'"),
        ("sqlite://", "it names no file"),
        ("sqlite:////proc/nowhere/mlflow.db", "/proc/nowhere"),
    ],
)
def test_addresses_that_lead_nowhere(study: Made, monkeypatch: pytest.MonkeyPatch, place: str, why: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f" {place} ")
    message = said(study)
    assert why in message
    assert "unset MLFLOW_TRACKING_URI" in message or "or unset it to record beside the study" in message
    assert "secret" not in message


def test_a_server_that_never_answers(study: Made, monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    monkeypatch.setattr(address, "PROBE_SECONDS", 0.3)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent}")
    assert "no answer within 0.3 seconds" in said(study) or "timed out" in said(study)


def test_a_call_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a server sends its answer byte by byte, so that no single byte is late."""

    class Client:
        def log_text(self, seconds: float, *, text: str) -> str:
            time.sleep(seconds)
            return text

    client = store.InTime(Client(), 0.2)  # type: ignore[arg-type]
    assert client.log_text(0.0, text="kept") == "kept"
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 seconds"):
        client.log_text(5.0, text="late")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    assert store._call_seconds() == 21


def test_a_store_that_never_opens(study: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "OPEN_SECONDS", 0.3)
    monkeypatch.setattr(store, "_open", lambda _: time.sleep(5))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://host/runs")
    assert "no answer within 0.3 seconds" in said(study)


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "UPDATE alembic_version SET version_num = '451aebb31d03'",
            "older MLflow: copy it, then run `mlflow db upgrade",
        ),
        ("UPDATE alembic_version SET version_num = 'ffffffffffff'", "newer MLflow than"),
        ("DELETE FROM alembic_version", "not a complete MLflow database"),
        ("DROP TABLE alembic_version", "not a complete MLflow database"),
    ],
)
def test_a_store_of_another_mlflow_is_left_as_it_is(study: Made, statement: str, why: str) -> None:
    path = study[1].study / "mlflow.db"
    execute(path, statement)
    before = path.read_bytes()
    assert why in said(study)
    assert path.read_bytes() == before


def test_what_is_no_store(study: Made) -> None:
    path = study[1].study / "mlflow.db"
    path.write_bytes(b"garbage " * 999)
    assert "is not a database" in said(study)
    path.unlink()
    path.mkdir()
    assert "is not a file" in said(study)


def test_a_store_that_cannot_be_written_to(study: Made) -> None:
    path = study[1].study / "mlflow.db"
    for table in ("experiments", "runs"):
        execute(path, f"CREATE TRIGGER full_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END")
    assert "full" in said(study)
    execute(path, "DROP TRIGGER full_experiments")
    assert "full" in said(study)


def test_artifacts_that_cannot_be_written(study: Made) -> None:
    (study[1].study / "mlartifacts").write_text("no folder")
    message = said(study)
    assert "cannot be written to" in message
    assert "mlartifacts" in message, "what is in the way is named"


def test_two_recordings_at_once(study: Made) -> None:
    with database.alone(study[1].study / "mlflow.db"), pytest.raises(PruneProofError, match="another record_runs"):
        tracking.run(*study)
    tracking.run(*study)


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a%25 b", "a#b", "größe 1"])
def test_a_folder_of_any_name_holds_its_own_store(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()

    def make(uri: str) -> None:
        from sqlalchemy import create_engine, text

        with create_engine(uri).begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))

    database.prepare(folder / "mlflow.db", make)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in folder.iterdir()] == ["mlflow.db"]
    assert "not a complete MLflow database" in str(database.fault(folder / "mlflow.db"))


def test_a_half_made_store_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"

    def killed(uri: str) -> None:
        execute(tmp_path / "mlflow.db-new", "CREATE TABLE half (a)")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.prepare(path, killed)
    assert not database.exists(path)

    def make(uri: str) -> None:
        execute(tmp_path / "mlflow.db-new", "CREATE TABLE alembic_version AS SELECT 'x' AS version_num")

    path.touch()
    path.with_name("mlflow.db-wal").write_text("of a deleted store")
    database.prepare(path, make)
    assert database.fault(path) is None
    assert sorted(found.name for found in tmp_path.iterdir()) == ["mlflow.db"]
