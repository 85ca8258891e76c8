"""Ray is asked for in one line of the environment, and what is wrong with it is said in one line."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pruneproof import ray_cluster
from pruneproof.errors import PruneProofError


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)


@pytest.mark.parametrize("address", ["auto", "local", "head", "head:", "ray://head:10001", "head:99999", ":6379"])
def test_addresses_of_other_kinds_are_refused(address: str) -> None:
    with pytest.raises(PruneProofError, match=r"RAY_ADDRESS is .*: use <host>:<port> of the head"):
        ray_cluster.address({"RAY_ADDRESS": address})


@pytest.mark.parametrize("mode", ["tokn", "1"])
def test_modes_that_ray_would_take_for_none_are_refused(mode: str) -> None:
    with pytest.raises(PruneProofError, match=f"RAY_AUTH_MODE is '{mode}': use token or disabled"):
        ray_cluster.address({"RAY_AUTH_MODE": mode})


def test_folders_that_ray_cannot_use_are_refused(tmp_path: Path) -> None:
    missing, long = tmp_path / "missing", tmp_path / ("long" * 9)
    long.mkdir()
    with pytest.raises(PruneProofError, match="missing', no folder that can be written to: make it, or unset it"):
        ray_cluster.address({"RAY_TMPDIR": str(missing)})
    with pytest.raises(
        PruneProofError, match="bytes, and the names of Ray's sockets leave room for 32: choose a short"
    ):
        ray_cluster.address({"RAY_TMPDIR": str(long)})
    assert ray_cluster.folder({"RAY_TMPDIR": str(long), "RAY_ADDRESS": "head:6379"}) == str(long)
    assert ray_cluster.address({"RAY_TMPDIR": "/tmp", "RAY_AUTH_MODE": "TOKEN"}) == ""


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
def serving(wrapped: Callable[[socket.socket], socket.socket], said: bytes | None) -> Iterator[str]:
    """The address of a server that wraps a connection, says something if anything, and listens until it is left."""

    def serve() -> None:
        plain, _ = server.accept()
        with wrapped(plain) as connection, suppress(OSError):
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


@contextmanager
def listening(said: bytes | None) -> Iterator[str]:
    """The address of a server that says something and hangs up, or accepts and stays silent (None)."""
    with serving(lambda connection: connection, said) as address:
        yield address


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


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a cluster with TLS: a certificate that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "head")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    plain = serialization.NoEncryption()
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "certificate").write_bytes(certificate)
    (folder / "key").write_bytes(written)
    files = {"CERT": "certificate", "KEY": "key"}
    named = {f"RAY_TLS_SERVER_{what}": str(folder / file) for what, file in files.items()}
    return {"RAY_USE_TLS": "1", **named, "RAY_TLS_CA_CERT": str(folder / "certificate")}


@contextmanager
def listening_with_tls(tls: dict[str, str]) -> Iterator[str]:
    """The address of a server that speaks HTTP/2 over TLS, as a head does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["RAY_TLS_SERVER_CERT"], tls["RAY_TLS_SERVER_KEY"])

    with serving(lambda plain: context.wrap_socket(plain, server_side=True), SETTINGS + bytes(12)) as address:
        yield address


def test_a_head_with_tls_is_found(tls: dict[str, str]) -> None:
    with listening_with_tls(tls) as address:
        assert ray_cluster.address({"RAY_ADDRESS": address, **tls}) == address
    assert ray_cluster.address(tls) == ""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "nothing within 0.1 s"),
        (SETTINGS + bytes(12), "something listens, but speaks no TLS as RAY_USE_TLS asks"),
    ],
)
def test_what_speaks_no_tls_is_refused_in_time(
    said: bytes | None, why: str, tls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "_PROBE_S", 0.1 if said is None else 5)
    with (
        listening(said) as address,
        pytest.raises(PruneProofError, match=rf"no Ray cluster answers at RAY_ADDRESS={address} \({why}"),
    ):
        ray_cluster.address({"RAY_ADDRESS": address, **tls})


@pytest.mark.parametrize("address", ["head", "head:99999x", "ho st:6379", "127.0.0.1:6379:1", "[::1:6379"])
def test_a_malformed_address_is_refused_with_tls_too(address: str, tls: dict[str, str]) -> None:
    for environment in (tls, {"RAY_USE_TLS": "1"}):
        with pytest.raises(PruneProofError, match=r"RAY_ADDRESS is .*: use <host>:<port> of the head"):
            ray_cluster.address({"RAY_ADDRESS": address, **environment})


@pytest.mark.parametrize("host", ["..", "a..b", "x" * 64])
def test_a_name_that_no_host_can_have_is_one_line(host: str) -> None:
    with pytest.raises(PruneProofError, match=r"no Ray cluster answers at RAY_ADDRESS="):
        ray_cluster.address({"RAY_ADDRESS": f"{host}:6379"})


@pytest.mark.parametrize("name", ["RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"])
@pytest.mark.parametrize("value", ["", "/no/such/file"])
def test_tls_without_its_files_is_one_line(name: str, value: str, tls: dict[str, str]) -> None:
    with pytest.raises(PruneProofError, match=rf"RAY_USE_TLS is set, but {name} is '{value}', no file: name it"):
        ray_cluster.address({**tls, name: value})


def test_files_that_are_no_certificates_are_one_line(tls: dict[str, str]) -> None:
    for name in ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"):
        with pytest.raises(PruneProofError, match=r"are no certificate, its key and that of an authority \("):
            ray_cluster.address({**tls, name: __file__})
