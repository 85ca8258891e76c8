"""Whether Ray, where it is asked for, is installed and reached. Ray itself is not imported: this takes no time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from importlib.util import find_spec

from pruneproof import machine
from pruneproof.errors import PruneProofError

_PROBE_S = 10
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client of HTTP/2, which a head speaks, begins: its preface and empty settings (RFC 9113, 3.4)."""
_FRAME, _SETTINGS = 9, 4
"""Bytes of the header of a frame, and the type of the one with which a server must begin."""


def address(environment: Mapping[str, str] = os.environ) -> str:
    """The address of the head, as `<host>:<port>`; empty for a Ray of this machine.

    Raises:
        PruneProofError: if Ray is not installed, if the environment asks for certain GPUs, which Ray hands out itself,
            if RAY_ADDRESS is of another form, or if no Ray answers there within 10 s.
    """
    wanted = machine.wanted_device(environment)
    if wanted not in ("auto", "cpu", "cuda"):
        raise PruneProofError(
            f"PRUNEPROOF_DEVICE is {wanted[:40]!r}, but Ray gives each worker its own device: use auto, cpu or cuda, "
            "and PRUNEPROOF_WORKERS for their number"
        )
    if find_spec("ray") is None:
        raise PruneProofError("PRUNEPROOF_ENGINE is 'ray', but Ray is not installed: pip install '.[ray]'")
    given = environment.get("RAY_ADDRESS", "").strip()
    if given:
        _require_answer(given, secret=environment.get("RAY_USE_TLS", "0").lower() in ("1", "true"))
    return given


def _require_answer(given: str, *, secret: bool) -> None:
    """Refuse an address where nothing listens, or where what does is no head: Ray would try for minutes.

    Args:
        given: RAY_ADDRESS.
        secret: whether the cluster speaks TLS, so that it answers no greeting of ours; only whether it listens is seen.

    Raises:
        PruneProofError: if so.
    """
    host, _, port = given.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise PruneProofError(f"RAY_ADDRESS is {given[:60]!r}: use <host>:<port> of the head, as `ray start` prints it")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_S) as connection:
            why = "" if secret else _silence(connection)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise PruneProofError(
            f"no Ray cluster answers at RAY_ADDRESS={given} ({why}): start it, or unset RAY_ADDRESS for this machine"
        )


def _silence(connection: socket.socket) -> str:
    """Why what listens there cannot be a head; empty if it can. Raises `OSError` for a connection that is lost."""
    deadline, said = time.monotonic() + _PROBE_S, b""
    connection.sendall(_HELLO)
    while len(said) < _FRAME:
        left = deadline - time.monotonic()
        if left <= 0:
            return f"something listens, but says nothing within {_PROBE_S} s"
        connection.settimeout(left)
        try:
            part = connection.recv(_FRAME - len(said))
        except TimeoutError:
            continue
        if not part:
            break
        said += part
    return "" if len(said) == _FRAME and said[3] == _SETTINGS else "something listens, but it is no Ray"
