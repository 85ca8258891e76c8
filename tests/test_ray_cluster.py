"""Ray is asked for in one line of the environment, and what is wrong with it is said in one line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

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


def test_no_address_is_this_machine_and_a_head_is_found() -> None:
    assert ray_cluster.address({}) == ""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert ray_cluster.address({"RAY_ADDRESS": f" {address} "}) == address
