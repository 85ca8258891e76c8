"""Where runs go, how that is shown without its password, and whether a server answers there.

`check` asks the same questions before a study starts, so nothing here imports MLflow.
"""

from __future__ import annotations

import base64
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from difflib import get_close_matches
from http.client import HTTPException
from typing import TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from pruneproof.errors import PruneProofError

PROBE_SECONDS = 4.0
"""A server is asked once, and given up on after this time, however slowly its answer arrives."""
REASON_LENGTH = 300
KNOWN = "http://, https://, postgresql://, mysql://, mssql:// or sqlite:///"
"""Addresses that MLflow can open."""
_SCHEMES = frozenset({"http", "https", "postgresql", "mysql", "mssql", "sqlite", "databricks", "databricks-uc"})
_PROFILES = frozenset({"", "databricks", "databricks-uc"})
"""What may stand alone; nothing is the study's own store."""
_NETWORK = ("http", "https", "postgresql", "mysql", "mssql")
_HOST = re.compile(r"[\w.-]+:\d+(/.*)?")
AGAIN = "dvc repro --single-item record_runs"
"""The command that records again."""
_SECRET_QUERY = re.compile(r"(?i)([?&][^=&\s]*(?:pass|pwd|secret|token|key)[^=&\s]*=)[^&\s]+")
_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"]*@")

Answer = TypeVar("Answer")


def given() -> str:
    """MLFLOW_TRACKING_URI without blanks around it; empty for the study's own store."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip()


def is_server(address: str) -> bool:
    """Whether it is the address of an MLflow server, not of a database."""
    return address.lower().startswith(("http://", "https://"))


def malformed(address: str) -> str | None:
    """What is wrong with how an address is written, or None: neither a database nor a server is asked."""
    scheme, found, place = address.partition("://")
    kind = scheme.lower().partition("+")[0]
    if kind not in (_SCHEMES if found else _PROFILES):
        return f"MLflow knows no such address: use {KNOWN}{_meant(address)}"
    if kind == "sqlite":
        return "it names no file" if place.strip("/") in ("", ":memory:") else None
    if not found or kind.startswith("databricks"):
        return None
    try:
        # A database's password may hold a slash, which would end the host in a server's address.
        parts = urlsplit(address if is_server(address) else f"//{place.rpartition('@')[2]}")
        if parts.port == 0:  # reading it also checks that it is a number in its range
            return "its port is 0, which is none"
    except ValueError as error:
        return masked(str(error))
    return "it names no host" if is_server(address) and not parts.hostname else None


def misspelt() -> str | None:
    """What is wrong with how MLFLOW_TRACKING_URI is written, and what to do; None if it is well-formed or not set."""
    why = malformed(given())
    shown = f"MLFLOW_TRACKING_URI is {masked(given())!r}"
    return f"{shown}: {why}; correct it, or unset it to record beside the study" if why else None


def _meant(address: str) -> str:
    """The tail of an error on an address: what it was probably meant to be; empty if that is anybody's guess."""
    scheme, *place = re.split("[:/]+", address, maxsplit=1)
    close = get_close_matches(scheme.lower(), _NETWORK, n=1)
    meant = f"{close[0]}://{place[0]}" if close and any(place) else f"http://{address}"
    guessed = (close and any(place)) or _HOST.fullmatch(address)
    return f" (did you mean {masked(meant)!r}?)" if guessed else ""


def masked(text: str) -> str:
    """An address, or a message that may hold one, with user, password and tokens replaced by `***`.

    >>> masked("postgresql://me:secret@host/runs?sslpassword=x")
    'postgresql://***@host/runs?sslpassword=***'
    """
    address = given()
    # A password may hold blanks or quotes, where a pattern would stop: the address itself is known.
    if "@" in address:
        user = address.partition("://")[2].rpartition("@")[0] or address.rpartition("@")[0]
        for secret in (f"{user}@", f"{user.partition(':')[2]}@"):
            if len(secret) > 1:
                text = text.replace(secret, "***@").replace(unquote(secret), "***@")
    return _SECRET_QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def reason(error: BaseException) -> str:
    """The first line of what went wrong, short and without credentials."""
    for wrapped in (error, error.__cause__):
        # What a database's driver said, which SQLAlchemy wraps, and MLflow once more.
        if isinstance(said := getattr(wrapped, "orig", None), BaseException):
            return reason(said)
    cause = getattr(error, "reason", None)
    lines = str(cause if isinstance(cause, OSError | str) and cause else error).strip().splitlines()
    text = masked(lines[0] if lines else type(error).__name__).removesuffix(":")
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 4] + " ..."


def unanswered(address: str, why: str) -> PruneProofError:
    """The one line that a user reads when MLflow cannot be written to."""
    advice = "fix it or unset MLFLOW_TRACKING_URI" if given() else "fix it"
    return PruneProofError(
        f"MLflow at {masked(address)} cannot be written to ({why}): all results are complete in data/ and reports/; "
        f"{advice}, then run `{AGAIN}`"
    )


def within(seconds: float, action: Callable[[], Answer]) -> Answer:
    """What `action` returns or raises, if it does so in time.

    Raises:
        TimeoutError: if it does not; it is then left alone in a thread that does not outlive the process.
    """
    results: list[Answer] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(action())
        except Exception as error:  # handed on below
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    if errors:
        raise errors[0]
    return results[0]


def server_fault(address: str, *, strict: bool = False) -> str | None:
    """Why a server cannot be used, asked at its `/health`; None if something answers there, perhaps a log-in page.

    Args:
        address: of the server.
        strict: whether a log-in page or an unknown page counts as a fault, too.
    """
    if why := malformed(address):
        return why
    try:
        within(PROBE_SECONDS, lambda: _ask(address))
    except urllib.error.HTTPError as error:
        # Anything below 500 comes from a server that is alive, perhaps with a log-in in front of it.
        return f"HTTP {error.code}" if strict or error.code >= 500 else None
    except (OSError, ValueError, HTTPException) as error:
        why = reason(error)
        return f"it does not speak HTTP: {why}" if isinstance(error, HTTPException) and not _is_url(error) else why
    return None


def _is_url(error: HTTPException) -> bool:
    """Whether the error is about how the address is written."""
    return isinstance(error, ValueError) or type(error).__name__ == "InvalidURL"


def _ask(address: str) -> None:
    """GET `/health` as MLflow would, which takes user and password from the address.

    Raises:
        OSError, ValueError, HTTPException: whatever is wrong with the address, the network or the answer.
    """
    parts = urlsplit(address)
    user, found, host = parts.netloc.rpartition("@")
    place = urlunsplit((parts.scheme, host, f"{parts.path.rstrip('/')}/health", "", ""))
    request = urllib.request.Request(place)
    if found:
        encoded = base64.b64encode(unquote(user).encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    with urllib.request.urlopen(request, timeout=PROBE_SECONDS) as answer:
        answer.read(64)
