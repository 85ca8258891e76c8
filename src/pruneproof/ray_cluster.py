"""Whether Ray, where it is asked for, is installed and reached. Ray itself is not imported: this takes no time."""

from __future__ import annotations

import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

from pruneproof import machine
from pruneproof.errors import PruneProofError

_AUTH_MODES = ("token", "disabled")
"""Values of RAY_AUTH_MODE; Ray takes any other for `disabled`."""
_LONGEST_FOLDER = 32
"""Bytes. Ray puts sockets into its folder, under names of 65, and the path of a socket may have 107."""
_PROBE_S = 8
_SHORTEST_S = 0.01
_HOST = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.%\w]+\]|[0-9A-Fa-f:]+")
"""A name, or an address of either version of the Internet Protocol."""
_TLS_FILES = ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
"""Ray wants all of them, of whoever takes part."""
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How a client of HTTP/2, which a head speaks, begins: its preface and empty settings (RFC 9113, 3.4)."""
_FRAME, _SETTINGS = 9, 4
"""Bytes of the header of a frame, and the type of the one with which a server must begin."""


def address(environment: Mapping[str, str] = os.environ) -> str:
    """The address of the head, as `<host>:<port>`; empty for a Ray of this machine.

    Raises:
        PruneProofError: if Ray is not installed, if the environment asks for certain GPUs, which Ray hands out itself,
            if RAY_ADDRESS or RAY_AUTH_MODE is of another form, if TLS is asked for without its files, if Ray has no
            folder for its files, or if no Ray answers there within 8 s.
    """
    wanted = machine.wanted_device(environment)
    if wanted not in ("auto", "cpu", "cuda"):
        raise PruneProofError(
            f"PRUNEPROOF_DEVICE is {wanted[:40]!r}, but Ray gives each worker its own device: use auto, cpu or cuda, "
            "and PRUNEPROOF_WORKERS for their number"
        )
    if find_spec("ray") is None:
        raise PruneProofError("PRUNEPROOF_ENGINE is 'ray', but Ray is not installed: pip install '.[ray]'")
    mode = environment.get("RAY_AUTH_MODE", "")
    if mode and mode.lower() not in _AUTH_MODES:
        raise PruneProofError(f"RAY_AUTH_MODE is {mode[:40]!r}: use {' or '.join(_AUTH_MODES)}")
    folder(environment)
    given = environment.get("RAY_ADDRESS", "").strip()
    place = _place(given) if given else None
    secret = _secret(environment)
    if place is not None:
        _require_answer(given, place, secret)
    return given


def folder(environment: Mapping[str, str] = os.environ) -> str:
    """Where Ray's files go: RAY_TMPDIR, or the system's temporary folder, if a Ray of this machine can use that one.

    Raises:
        PruneProofError: if RAY_TMPDIR is no folder that can be written to, or too long for Ray's sockets.
    """
    named = environment.get("RAY_TMPDIR", "")
    if not named:
        usual = tempfile.gettempdir()
        return usual if len(os.fsencode(usual)) <= _LONGEST_FOLDER and " " not in usual else "/tmp"
    if not (os.path.isdir(named) and os.access(named, os.W_OK | os.X_OK)):
        raise PruneProofError(f"RAY_TMPDIR is {named[:80]!r}, no folder that can be written to: make it, or unset it")
    size = len(os.fsencode(os.path.abspath(named)))
    if size > _LONGEST_FOLDER and not environment.get("RAY_ADDRESS", "").strip():
        raise PruneProofError(
            f"RAY_TMPDIR is {named[:80]!r}, of {size} bytes, and the names of Ray's sockets leave room for "
            f"{_LONGEST_FOLDER}: choose a shorter one, or unset it"
        )
    return named


def _place(given: str) -> tuple[str, int]:
    """Host and port.

    Raises:
        PruneProofError: if an address has another form.
    """
    host, _, port = given.rpartition(":")
    if not _HOST.fullmatch(host) or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise PruneProofError(f"RAY_ADDRESS is {given[:60]!r}: use <host>:<port> of the head, as `ray start` prints it")
    return host.strip("[]"), int(port)


def _secret(environment: Mapping[str, str]) -> ssl.SSLContext | None:
    """What a cluster with TLS is greeted with; None for one without. Whom it trusts is left to Ray.

    Raises:
        PruneProofError: if TLS is asked for, but a file that Ray needs for it is not named, missing or something else.
    """
    if environment.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        return None
    files = {name: environment.get(name, "").strip() for name in _TLS_FILES}
    for name, file in files.items():
        if not Path(file).is_file():
            raise PruneProofError(f"RAY_USE_TLS is set, but {name} is {file!r}, no file: name it, or unset RAY_USE_TLS")
    certificate, key, authority = files.values()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        context.load_cert_chain(certificate, key, password=bytes)  # asks nobody for one
        context.load_verify_locations(authority)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise PruneProofError(
            f"RAY_USE_TLS is set, but {', '.join(files)} are no certificate, its key and that of an authority ({why})"
        ) from None
    return context


def _require_answer(given: str, place: tuple[str, int], secret: ssl.SSLContext | None) -> None:
    """Refuse an address where nothing listens, or where what does is no head: Ray would try for minutes.

    Args:
        given: RAY_ADDRESS.
        place: its host and port.
        secret: what to speak TLS with, if the cluster does.

    Raises:
        PruneProofError: if so.
    """
    deadline = time.monotonic() + _PROBE_S
    try:
        with socket.create_connection(place, timeout=_PROBE_S) as plain:
            plain.settimeout(max(deadline - time.monotonic(), _SHORTEST_S))
            with secret.wrap_socket(plain) if secret else nullcontext(plain) as connection:
                why = _silence(connection, deadline)
    except ssl.SSLError as error:
        why = f"something listens, but speaks no TLS as RAY_USE_TLS asks: {error.reason or error}"
    except TimeoutError:
        why = f"nothing within {_PROBE_S} s"
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
        why = getattr(error, "strerror", None) or str(error)
    if why:
        raise PruneProofError(
            f"no Ray cluster answers at RAY_ADDRESS={given} ({why}): start it, or unset RAY_ADDRESS for this machine"
        )


def _silence(connection: socket.socket, deadline: float) -> str:
    """Why what listens there cannot be a head; empty if it can. Raises `OSError` for a connection that is lost."""
    said = b""
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
