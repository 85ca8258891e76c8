"""A real MLflow server with a line to it that can be cut, silenced, slowed down or made to answer rubbish."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Mode = Literal["pass", "dead", "silent", "drip", "error", "garbage"]
"""`dead` refuses connections, `silent` takes them and never answers, `drip` sends a byte a second."""
_REQUEST = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) /", re.MULTILINE)
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlost"
DRIP = 1.0
"""Seconds between two bytes."""


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """The port of an MLflow server with its database and artifacts in a folder; a fork, gone afterwards."""
    with closing(_listener()) as probe:
        port = int(probe.getsockname()[1])
    child = os.fork()
    if child == 0:
        try:
            _serve(folder, port)
        finally:
            os._exit(1)
    try:
        _await(port)
        yield port
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _serve(folder: Path, port: int) -> None:
    os.setsid()
    log = os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_REGISTRY_STORE": f"sqlite:///{folder}/mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    os.chdir(folder)
    from mlflow.server import app
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", port, app, threaded=True)


def _await(port: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError("the server does not start")


def _listener(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener


@dataclass(slots=True)
class Line:
    """A line to a server: takes connections at a port of its own, and counts the requests."""

    target: int
    mode: Mode = "pass"
    later: tuple[int, Mode] | None = None
    """After how many requests the mode becomes which."""
    back: float | None = None
    """Seconds after which, once `later` has come, everything passes again."""
    requests: int = 0
    port: int = 0
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)

    @contextmanager
    def held(self) -> Iterator[str]:
        """The address of the line, as long as it is held."""
        self._listener = _listener()
        self.port = self._listener.getsockname()[1]
        if self.mode == "dead":
            self._listener.close()
        else:
            threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            self._cut()

    def _accept(self) -> None:
        while (listener := self._listener) is not None:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._open.add(client)
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.target)) as upstream:
            threading.Thread(target=self._answer, args=(upstream, client), daemon=True).start()
            while data := client.recv(65536):
                self._count(len(_REQUEST.findall(data)))
                if self.mode == "error":
                    client.sendall(_ERROR)
                    return
                if self.mode == "garbage":
                    client.sendall(b"\x00\xff nothing of the kind\r\n\r\n")
                    return
                if self.mode != "silent":
                    upstream.sendall(data)

    def _answer(self, upstream: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := upstream.recv(65536):
                if self.mode == "drip":
                    for byte in data:
                        client.sendall(bytes([byte]))
                        time.sleep(DRIP)
                else:
                    client.sendall(data)

    def _count(self, number: int) -> None:
        before, self.requests = self.requests, self.requests + number
        if self.later is None or not before < self.later[0] <= self.requests:
            return
        self.mode = self.later[1]
        if self.mode == "dead":
            self._cut()
        if self.back is not None:
            threading.Timer(self.back, self._restore).start()

    def _cut(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _restore(self) -> None:
        self.mode = "pass"
        if self._listener is None:
            self._listener = _listener(self.port)
            threading.Thread(target=self._accept, daemon=True).start()
