"""Ray is asked for in one line of the environment, and what is wrong with it is said in one line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pruneproof import ray_cluster
from pruneproof.errors import PruneProofError


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)


@pytest.mark.parametrize("address", ["auto", "local", "head", "head:", "ray://head:10001", "head:99999", ":6379"])
def test_addresses_of_other_kinds_are_refused(address: str) -> None:
    with pytest.raises(PruneProofError, match=r"RAY_ADDRESS is .*: use <host>:<port> of the head"):
        ray_cluster.address({"RAY_ADDRESS": address})


@contextmanager
def free_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_an_address_where_nothing_answers_is_refused() -> None:
    with (
        free_port() as port,
        pytest.raises(PruneProofError, match=r"no Ray cluster answers at RAY_ADDRESS=127\.0\.0\.1:"),
    ):
        ray_cluster.address({"RAY_ADDRESS": f"127.0.0.1:{port}"})


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: None)
    with pytest.raises(PruneProofError, match=r"Ray is not installed: pip install '\.\[ray\]'"):
        ray_cluster.address({})


@pytest.mark.parametrize("device", ["cuda:1", "cuda:all", "cpu,cpu", "mps"])
def test_ray_gives_out_the_devices(device: str) -> None:
    with pytest.raises(PruneProofError, match="Ray gives each worker its own device: use auto, cpu or cuda"):
        ray_cluster.address({"PRUNEPROOF_DEVICE": device})


@contextmanager
def listening(said: bytes | None) -> Iterator[str]:
    """The address of a server that says something and hangs up, or accepts and stays silent (None)."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(ConnectionError):
            connection.settimeout(5)
            if said is not None:
                connection.sendall(said)
            while connection.recv(100):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


SETTINGS = bytes.fromhex("00000c 04 00 00000000")
"""The header of the frame with which a server of HTTP/2 begins (RFC 9113, 4.1 and 6.5), here of two settings."""


def test_no_address_is_this_machine_and_a_head_is_found() -> None:
    assert ray_cluster.address({}) == ""
    with listening(SETTINGS + bytes(12)) as address:
        assert ray_cluster.address({"RAY_ADDRESS": f" {address} "}) == address


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "something listens, but says nothing within 0.1 s"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "something listens, but it is no Ray"),
        (b"HTTP", "something listens, but says nothing"),
    ],
)
def test_what_listens_and_is_no_head_is_refused(said: bytes | None, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "_PROBE_S", 0.1)
    with (
        listening(said) as address,
        pytest.raises(PruneProofError, match=rf"no Ray cluster answers at RAY_ADDRESS={address} \({why}"),
    ):
        ray_cluster.address({"RAY_ADDRESS": address})


def test_a_cluster_with_tls_is_not_greeted() -> None:
    with listening(None) as address:
        assert ray_cluster.address({"RAY_ADDRESS": address, "RAY_USE_TLS": "1"}) == address
