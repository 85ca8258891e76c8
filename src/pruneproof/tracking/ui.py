"""`ui`: MLflow's pages over the runs of one study."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from pruneproof.errors import PruneProofError
from pruneproof.folders import make_command
from pruneproof.tracking import address, database, views

HOST = "127.0.0.1"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # A study has no jobs, so it needs no workers for them: seven processes fewer.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # MLflow's own, of packages that it uses.
    "PYTHONWARNINGS": "ignore",
}
SERVER = ("--workers", "1", "--uvicorn-opts", "--log-level=warning")
"""One reader needs one process; what it says of itself would push the addresses off the screen."""


def serve(folder: Path, port: int) -> NoReturn:
    """Become `mlflow ui` for the runs of the study in `folder`, on this machine alone, until it is interrupted.

    Before, it prints the address of the table that says which method holds up best, and that of the conditions.

    Raises:
        PruneProofError: if there are no runs yet, the port is taken, or the runs are on a server.
    """
    folder = folder.resolve()
    store = _store(folder)
    _check_port(port, make_command("ui", folder))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    print(*_links(folder, f"http://{HOST}:{port}"), sep="\n", flush=True)
    # Named from within its folder, a database needs no quoting: see `database.address_of`.
    os.chdir(folder)
    # In the environment, since any user of the machine sees arguments, and the address may hold a password.
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), *SERVER])


def _links(folder: Path, base: str) -> list[str]:
    """Where to look first, with columns and order; the page of MLflow where its runs are in another database."""
    wait = "in about ten seconds; Ctrl+C ends it"
    if address.given():
        return [f"MLflow: {base} ({wait})"]
    lines = []
    for view in views.VIEWS.values():
        if found := database.tagged(folder / "mlflow.db", f"{views.TAG}{view.key}"):
            experiment_id, name = found
            lines.append(f"{view.answers} ({name}):\n  {views.link(base, experiment_id, view.key)}")
    return [*lines, f"The pages open {wait}."] if lines else [f"MLflow: {base} ({wait})"]


def _store(folder: Path) -> str:
    if why := address.misspelt():
        raise PruneProofError(why)
    given = address.given()
    if address.is_server(given):
        raise PruneProofError(
            f"the runs are on a server: open {address.masked(given)} in a browser (or unset MLFLOW_TRACKING_URI)"
        )
    if given:
        return given
    path = folder / "mlflow.db"
    if not database.exists(path):
        raise PruneProofError(f"{path} is missing: the study has no runs yet, run `{make_command('repro', folder)}`")
    if why := database.fault(path):
        raise PruneProofError(why)
    return f"sqlite:///{path.name}"


def _check_port(port: int, command: str) -> None:
    if not 0 < port < 65536:
        raise PruneProofError(f"--port is {port}, which is not a port: use 1024 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = error.strerror or str(error)
            raise PruneProofError(
                f"{HOST}:{port} cannot be used ({why}): choose another, `{command} PORT=5001`"
            ) from None
