from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pruneproof.errors import PruneProofError
from pruneproof.tracking import ui


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's folder, of a name that no address can hold, with a store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "a?b %20"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT 'x' AS version_num")
    return folder


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_it_becomes_mlflows_server_in_the_studys_folder(
    recorded: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recorded.parent)
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: became.append(arguments))
    ui.serve(Path(recorded.name), port)
    assert became[0][1:8] == ["-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == "sqlite:///mlflow.db"
    assert Path.cwd() == recorded


def test_what_stands_in_its_way_is_one_line(recorded: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PruneProofError, match=r"cannot be used .* `make ui PORT=5001`"):
            ui.serve(recorded, taken.getsockname()[1])
    with pytest.raises(PruneProofError, match="not a port"):
        ui.serve(recorded, 70000)
    (recorded / "mlflow.db").unlink()
    with pytest.raises(PruneProofError, match="no runs yet, run `make repro`"):
        ui.serve(recorded, port)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:5000")
    with pytest.raises(PruneProofError, match=r"open http://\*\*\*@host:5000 in a browser"):
        ui.serve(recorded, port)
