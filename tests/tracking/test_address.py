from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pruneproof.tracking import address


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """A server that answers everything with one status."""
    status = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = "Basic " + base64.b64encode(b"me:p@ss").decode()
            code = status[0] if self.headers["Authorization"] in (None, wanted) else 500
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def start(code: int) -> str:
        status[0] = code
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def odd() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """A service that does to each connection what it is told."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def start(act: Callable[[socket.socket], None]) -> str:
        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    act(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.close()


def test_a_log_in_page_is_a_living_server_and_a_bad_gateway_is_not(answering: Callable[[int], str]) -> None:
    for code in (200, 401, 404):
        assert address.server_fault(answering(code)) is None
    assert address.server_fault(answering(502)) == "HTTP 502"
    assert address.server_fault(answering(404), strict=True) == "HTTP 404"


def test_user_and_password_of_the_address_are_sent_as_mlflow_sends_them(answering: Callable[[int], str]) -> None:
    place = answering(200)
    assert address.server_fault(place.replace("://", "://me:p%40ss@")) is None
    assert address.server_fault(place.replace("://", "://me:wrong@")) == "HTTP 500"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("http://127.0.0.1:abc", "Port"),
        ("http://127.0.0.1:99999", "Port"),
        ("http://127.0.0.1:9/a b", "control characters"),
        ("http://[::1", "IPv6"),
        ("http://", "it names no host"),
        ("http://exa mple.invalid", ""),
        ("http://" + "a" * 70 + ".invalid", ""),
        ("HTTP://127.0.0.1:9", "refused"),
    ],
)
def test_an_address_that_leads_nowhere_is_a_fault_at_once(place: str, why: str) -> None:
    assert address.is_server(place)
    found = address.server_fault(place)
    assert found
    assert why in found
    assert "\n" not in found


def test_a_service_that_is_not_http(odd: Callable[..., str]) -> None:
    def act(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    assert address.server_fault(odd(act)) == "it does not speak HTTP: SSH-2.0-OpenSSH_9.2"


@pytest.mark.parametrize(
    "dripped", [b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 999, b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 999]
)
def test_a_server_that_drips_is_given_up_in_time(
    odd: Callable[..., str], monkeypatch: pytest.MonkeyPatch, dripped: bytes
) -> None:
    monkeypatch.setattr(address, "PROBE_SECONDS", 0.4)

    def act(connection: socket.socket) -> None:
        for byte in dripped:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    started = time.monotonic()
    assert address.server_fault(odd(act)) == "no answer within 0.4 seconds"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:5000/x", "http://***@host:5000/x"),
        ("https://token@host", "https://***@host"),
        ("postgresql+psycopg://me:sec/ret@host/runs", "postgresql+psycopg://***@host/runs"),
        ("mysql://host/runs?user=me&password=secret&ssl=1", "mysql://host/runs?user=me&password=***&ssl=1"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("./mlruns", "./mlruns"),
        ("", ""),
    ],
)
def test_credentials_are_masked(text: str, shown: str) -> None:
    assert address.masked(text) == shown


def test_credentials_of_the_address_are_masked_in_a_drivers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", " http://me:top secret%21@host ")
    assert address.given() == "http://me:top secret%21@host"
    for words in ("nonnumeric port: 'top secret%21@host'", "request to http://me:top secret!@host failed"):
        shown = address.masked(words)
        assert "secret" not in shown
        assert "host" in shown


def test_a_reason_is_one_short_line() -> None:
    assert address.reason(ValueError("first\nsecond")) == "first"
    assert address.reason(ValueError()) == "ValueError"
    assert len(address.reason(ValueError("x" * 999))) == address.REASON_LENGTH


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("foo://bar", "MLflow knows no such address: use http://"),
        ("./mlruns", "knows no such address"),
        ("file:///runs", "knows no such address"),
        ("http", "knows no such address"),
        ("http//x", "(did you mean 'http://x'?)"),
        ("http:/host:80/x", "(did you mean 'http://host:80/x'?)"),
        ("htp://host", "(did you mean 'http://host'?)"),
        ("postgres://me:secret@host/runs", "(did you mean 'postgresql://***@host/runs'?)"),
        ("http//me:secret@host", "(did you mean 'http://***@host'?)"),
        ("localhost:5000", "(did you mean 'http://localhost:5000'?)"),
        ("http://host:99999x", "Port could not be cast to integer value as '99999x'"),
        ("http://host:99999", "Port out of range"),
        ("https://host:0", "its port is 0"),
        ("http://", "it names no host"),
        ("http://:5000", "it names no host"),
        ("http://[::1", "IPv6"),
        ("mysql://me:sec/ret@host:port/runs", "'port'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:/runs.db", "knows no such address"),
        ("", None),
        ("sqlite:///runs.db", None),
        ("postgresql+psycopg2://host/runs", None),
        ("postgresql+psycopg://me:sec/r#t@host:5432/runs", None),
        ("mssql+pyodbc:///?odbc_connect=x", None),
        ("https://host", None),
        ("HTTPS://me:p%40ss@host:443/x/", None),
        ("databricks", None),
        ("databricks://profile", None),
    ],
)
def test_addresses_that_mlflow_cannot_open_are_known_by_their_spelling(
    monkeypatch: pytest.MonkeyPatch, given: str, why: str | None
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert (address.malformed(given) is None) == (why is None)
    assert (why or "") in (address.malformed(given) or "")
    said = address.misspelt() or ""
    assert bool(said) == bool(why)
    assert "secret" not in said
    assert "\n" not in said
