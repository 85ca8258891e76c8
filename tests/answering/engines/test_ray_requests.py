"""What is refused before Ray starts anything, and what a machine without the study's files gets to see."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pruneproof.answering import manifest
from pruneproof.answering.batch import AskedImage, Batch, Question
from pruneproof.answering.engines import ray as engine
from pruneproof.answering.engines._ray_actor import require_same
from pruneproof.answering.engines._ray_driver import Request, connect, end_left, plan
from pruneproof.answering.worker import Origin, Task
from pruneproof.digests import Digests
from pruneproof.errors import PruneProofError
from pruneproof.files import sha256
from pruneproof.folders import Folders
from pruneproof.perturbations.images._made import Made
from pruneproof.perturbations.images._pictures import StoredPicture
from pruneproof.records import CLEAN, Condition
from pruneproof.settings import Study
from pruneproof.stored import Held, InFile, InTable


def nodes(*resources: dict[str, float]) -> list[dict[str, Any]]:
    return [{"Alive": True, "Resources": one} for one in resources]


def request(device: str = "auto", workers: int | None = None, address: str = "head:6379") -> Request:
    unused: Any = None
    return Request(unused, unused, address, device, workers, 2, {}, Path())


TWO_BOXES = nodes({"CPU": 4, "GPU": 1}, {"CPU": 1, "GPU": 4})
"""Room for two workers with a GPU: one on each, since the second has a single CPU."""


@pytest.mark.parametrize(
    ("device", "workers", "expected"),
    [("auto", None, ("cuda", 2)), ("cuda", 1, ("cuda", 1)), ("cpu", None, ("cpu", 5)), ("cpu", 3, ("cpu", 3))],
)
def test_workers_fill_the_nodes(device: str, workers: int | None, expected: tuple[str, int]) -> None:
    assert plan(TWO_BOXES, request(device, workers))[:2] == expected


def test_nodes_that_are_gone_have_no_room() -> None:
    gone = [{"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}, *nodes({"CPU": 2.0})]
    assert plan(gone, request())[:2] == ("cpu", 2)


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        (
            nodes({"CPU": 2}),
            request("cuda"),
            r"Ray at head:6379 \(1 node, 2 CPUs, 0 GPUs\) has no room for .*: set PRUNEPROOF_DEVICE=cpu",
        ),
        (nodes({"CPU": 0.5}), request(), "has no room for a worker with one CPU"),
        (TWO_BOXES, request("cuda", 3), "PRUNEPROOF_WORKERS is 3, but .* room for 2 workers with one CPU and one GPU"),
        (
            nodes({"CPU": 2}),
            request("cpu", 3, ""),
            "3, but Ray on this machine .* room for 2 workers with one CPU each",
        ),
    ],
)
def test_what_can_never_be_is_refused(found: Any, wanted: Request, said: str) -> None:
    with pytest.raises(PruneProofError, match=said):
        plan(found, wanted)


@pytest.mark.parametrize(
    ("address", "mode", "advice"),
    [
        ("head:6379", None, ": set RAY_AUTH_MODE=token here and on every node)"),
        ("head:6379", "token", "its token may be another: compare ~/.ray/auth_token here and on its head)"),
        ("", None, "connect"),
    ],
)
def test_what_ray_leaves_unsaid_of_its_token_is_said(
    address: str, mode: str | None, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To an address that it is given, Ray shows no token unless it is told to, and says only that it cannot connect."""

    def refuse(**_: Any) -> None:
        raise ConnectionError("Failed to connect:\nat length")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=refuse))
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness"):
        monkeypatch.setenv(name, "0")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(PruneProofError, match=r"Ray cannot be used .*: Failed to connect") as error:
        connect(request(address=address))
    assert str(error.value).endswith(advice)


def test_folders_of_ray_are_short_and_without_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / "a long name with blanks in it"
    long.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with engine.temporary_folder() as folder:
        assert len(str(folder)) <= 32 + 13
        assert " " not in str(folder)
    assert not folder.exists()
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    with engine.temporary_folder() as folder:
        assert folder.parent == Path("/tmp")


def test_pictures_travel_without_their_files(tmp_path: Path, folders: Folders) -> None:
    held = Held(b"pixels")
    file, table = tmp_path / "one.png", folders.benchmark / "images.parquet"
    file.write_bytes(b"a file")
    in_table = InTable(table, 1, digest_of(table, 1))
    pictures = [held, InFile(file, sha256(file)), in_table]
    made = Made(Condition("image", "pixel_shift", 2), StoredPicture("two", in_table), 1, None, "recipe")
    pictures.append(made)
    expected = [(one.digest, one.read()) for one in pictures]
    images = tuple(AskedImage(str(n), one, (Question("?", False),), clean=in_table) for n, one in enumerate(pictures))
    sent = engine.carried(Task(Batch(CLEAN, images), ()))
    content = Batch(CLEAN, images).content
    file.unlink()
    table.unlink()
    assert [(image.picture.digest, image.picture.read()) for image in sent.batch.images] == expected
    assert {image.clean.read() for image in sent.batch.images if image.clean} == {expected[2][1]}
    assert sent.batch.content == content


def digest_of(table: Path, row: int) -> str:
    import pyarrow.parquet as pq

    digest: str = pq.read_table(table, columns=["sha256"])["sha256"][row].as_py()
    return digest


def test_a_node_with_other_weights_packages_or_code_is_refused(study: Study, folders: Folders) -> None:
    facts = manifest.of_backbone(study, folders, "tiny", Digests())
    require_same(Origin(study, folders, "tiny", facts))
    for part, told in (
        ({"packages": {**facts.packages, "torch": "1.0"}}, r"packages differ .* \(torch\): give every node the same"),
        ({"weights": {**facts.weights, "model": "0" * 64}}, "weights differ"),
        ({"sources": {**facts.sources, "pruneproof.answering.doors": ""}}, r"sources differ .* \(pruneproof.answering"),
    ):
        with pytest.raises(PruneProofError, match=told):
            require_same(Origin(study, folders, "tiny", replace(facts, **part)))


def test_what_ray_left_of_a_node_that_did_not_start_is_ended(tmp_path: Path) -> None:
    mine, other = (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", str(place)])
        for place in (tmp_path / "ray1" / "session", tmp_path / "ray2" / "session")
    )
    try:
        end_left(tmp_path / "ray1")
        assert not psutil.pid_exists(mine.pid)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize(
    ("address", "said"),
    [("", "Ray has ended on this machine, or a process of it was killed"), ("head:6379", "no Ray cluster that works")],
)
def test_what_a_killed_driver_left_is_ended(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(request: Any) -> Any:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=os._exit, args=(9,))
        process.start()
        theirs.close()
        return ours, process

    ended: list[Path] = []
    monkeypatch.setattr(engine.ray_cluster, "address", lambda: address)
    monkeypatch.setattr(engine, "_request", lambda job, origin, address, folder: folder)
    monkeypatch.setattr(engine, "_start", killed)
    monkeypatch.setattr(engine.driver, "end_left", ended.append)
    nothing: Any = None
    with pytest.raises(PruneProofError, match=said):
        list(engine.run(nothing, nothing, []))
    [folder] = ended
    assert not folder.exists()
