"""Whether Ray, where it is asked for, is installed and reached. Ray itself is not imported: this takes no time."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec

from pruneproof.errors import PruneProofError

_PROBE_S = 10


def address(environment: Mapping[str, str] = os.environ) -> str:
    """The address of the head, as `<host>:<port>`; empty for a Ray of this machine.

    Raises:
        PruneProofError: if Ray is not installed, if RAY_ADDRESS is of another form, or if nothing answers there.
    """
    if find_spec("ray") is None:
        raise PruneProofError("PRUNEPROOF_ENGINE is 'ray', but Ray is not installed: pip install '.[ray]'")
    given = environment.get("RAY_ADDRESS", "").strip()
    if given:
        _require_answer(given)
    return given


def _require_answer(given: str) -> None:
    host, _, port = given.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise PruneProofError(f"RAY_ADDRESS is {given[:60]!r}: use <host>:<port> of the head, as `ray start` prints it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_S).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise PruneProofError(
            f"no Ray cluster answers at RAY_ADDRESS={given} ({why}): start it, or unset RAY_ADDRESS for this machine"
        ) from None
