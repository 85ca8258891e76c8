"""A small disk at a folder: a tmpfs in a mount namespace of its own, which needs no root where users may make
namespaces, and which is gone with the process that made it."""

from __future__ import annotations

import ctypes
import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_REMOUNT, _PRIVATE = 32, (1 << 18) | 16384


def alone(body: Callable[[], str]) -> str:
    """What `body` returns in a fork of this process that has mounts of its own.

    Raises:
        RuntimeError: if it raises, or if mounts of one's own are not permitted here.
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiver)
            _unshare()
            answer = body().encode()
            code = 0
        except BaseException:  # told to the parent, which must not go on twice
            answer = traceback.format_exc().encode()
        with os.fdopen(sender, "wb") as out:
            out.write(answer)
        sys.stdout.flush()
        os._exit(code)
    os.close(sender)
    with os.fdopen(receiver, "rb") as incoming:
        text = incoming.read().decode()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError(text)
    return text


@cache
def possible(folder: Path) -> bool:
    """Whether a disk can be mounted here."""
    folder.mkdir(exist_ok=True, parents=True)
    try:
        alone(lambda: mount(folder, 2**20) or "")
    except RuntimeError:
        return False
    return True


def mount(folder: Path, size: int, *, again: bool = False) -> None:
    """Mount an empty disk of so many bytes, or give the one there another size."""
    flags = _REMOUNT if again else 0
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", flags, f"size={max(size, 4096)}".encode())


def used(folder: Path) -> int:
    """Bytes that are taken on the disk at a folder."""
    state = os.statvfs(folder)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _unshare() -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _call("unshare", _NEWNS)
    else:
        _call("unshare", _NEWNS | _NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")
    _call("mount", None, b"/", None, _PRIVATE, None)


def _call(name: str, *arguments: bytes | int | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_ulong(one) if isinstance(one, int) and name == "mount" else one for one in arguments]
    if getattr(libc, name)(*converted):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
