from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pruneproof import digests
from pruneproof.digests import Digests, remembered
from pruneproof.files import sha256


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read; every file counts as settled after a millisecond."""
    names: list[str] = []
    monkeypatch.setattr(digests, "SETTLED_NS", 1_000_000)
    return names


def of(memory: Path, path: Path, read: list[str]) -> str:
    def counted(one: Path) -> str:
        read.append(one.name)
        return sha256(one)

    with remembered(memory) as found:
        return found.of(path, counted)


def test_a_file_is_read_once(tmp_path: Path, read: list[str]) -> None:
    path, memory = tmp_path / "weights", tmp_path / "memory.json"
    path.write_bytes(b"abc")
    time.sleep(0.05)
    assert of(memory, path, read) == of(memory, path, read) == sha256(path)
    assert read == ["weights"]


def test_a_change_in_place_under_the_old_size_and_time_is_seen(tmp_path: Path, read: list[str]) -> None:
    path, memory = tmp_path / "weights", tmp_path / "memory.json"
    path.write_bytes(b"abc")
    time.sleep(0.05)
    of(memory, path, read)
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert of(memory, path, read) == sha256(path)
    assert read == ["weights"] * 2


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    found = Digests()
    found.of(path)
    assert found.known == {}


def test_readers_do_not_share_digests(tmp_path: Path, read: list[str]) -> None:
    def length(path: Path) -> str:
        return str(len(path.read_bytes()))

    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    time.sleep(0.05)
    found = Digests()
    assert (found.of(path), found.of(path, length)) == (sha256(path), "3")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"sha256 x": 3}', b"\xff"])
def test_a_spoilt_memory_is_forgotten(tmp_path: Path, content: bytes, read: list[str]) -> None:
    path, memory = tmp_path / "weights", tmp_path / "memory.json"
    path.write_bytes(b"abc")
    memory.write_bytes(content)
    time.sleep(0.05)
    assert of(memory, path, read) == sha256(path)
