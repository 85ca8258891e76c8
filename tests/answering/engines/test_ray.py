"""The Ray engine on a cluster of two nodes on this machine: the pool's bytes, whatever happens to workers, nodes, head.

One cluster serves the whole module; the last test ends its head.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from pruneproof.answering import stage
from pruneproof.answering.engines import ray as engine
from pruneproof.answering.store import Store
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.settings import Study

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

NODE = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 * 2**20}
CELLS = 4 * 4
"""Four methods on four batches."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with one CPU each."""
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
    environment["RAY_worker_niceness"] = "0"
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="ray", dir="/tmp") as place:
        patch.setenv("RAY_TMPDIR", place)
        for name, value in environment.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        before = signal.getsignal(signal.SIGTERM)
        made = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
        made.add_node(**NODE)
        yield made
        made.shutdown()
        signal.signal(signal.SIGTERM, before)  # Ray has put its own in the place of it


@pytest.fixture
def on_ray(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEPROOF_ENGINE", "ray")
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.delenv("PRUNEPROOF_WORKERS")


def run(study: Study, folders: Folders) -> dict[str, bytes]:
    """All tables of answers and logits."""
    stage.run(study, folders, backbone="tiny")
    paths = sorted([*folders.answers.rglob("*.parquet"), *folders.logits.rglob("*.parquet")])
    return {str(path.relative_to(folders.study)): path.read_bytes() for path in paths}


@pytest.fixture
def expected(study: Study, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the pool gives; nothing is left of it in the store."""
    with monkeypatch.context() as patch:
        patch.setenv("PRUNEPROOF_ENGINE", "pool")
        patch.setenv("PRUNEPROOF_WORKERS", "1")
        found = run(study, folders)
    assert len(found) == 2 * len(study.methods)
    folders.cells.rename(tmp_path / "of the pool")
    return found


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the cells that arrive, in their order."""
    keys: list[str] = []
    put = Store.put

    def noted(self: Store, key: str, table: Any) -> None:
        put(self, key, table)
        keys.append(key)

    monkeypatch.setattr(Store, "put", noted)
    return keys


def actors() -> list[psutil.Process]:
    """Processes of actors, which Ray names after what they do; their parents are the cluster's nodes."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name().startswith("ray::Actor") or "".join(process.cmdline()).startswith("ray::Actor"):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def when_stored(count: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something, once, when so many cells are stored."""
    put, done = Store.put, list[str]()

    def acting(self: Store, key: str, table: Any) -> None:
        put(self, key, table)
        done.append(key)
        if len(done) == count:
            act()

    monkeypatch.setattr(Store, "put", acting)


def gate(monkeypatch: pytest.MonkeyPatch, number: int, condition: Callable[[], bool]) -> None:
    """Hold back the tasks from a certain number on until something is true, so that the run cannot end before."""
    carried, given = engine.carried, list[Any]()

    def held_back(task: Any) -> Any:
        given.append(task)
        deadline = time.monotonic() + 60
        while len(given) >= number and not condition() and time.monotonic() < deadline:
            time.sleep(0.1)
        return carried(task)

    monkeypatch.setattr(engine, "carried", held_back)


@pytest.mark.usefixtures("on_ray")
def test_two_nodes_give_the_bytes_of_the_pool_and_a_second_run_asks_nothing(
    study: Study,
    folders: Folders,
    expected: dict[str, bytes],
    stored: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", "pruneproof"):
        assert run(study, folders) == expected
    assert "2 workers with one CPU each" in caplog.text
    assert len(stored) == len(set(stored)) == CELLS
    monkeypatch.setattr(engine, "_start", lambda _: pytest.fail("everything is answered"))
    assert run(study, folders) == expected


@pytest.mark.usefixtures("on_ray")
def test_workers_that_are_killed_cost_no_byte_and_no_cell_comes_twice(
    study: Study,
    folders: Folders,
    expected: dict[str, bytes],
    stored: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    killed: list[int] = []

    def kill() -> None:
        for process in actors():
            process.kill()
            killed.append(process.pid)

    when_stored(2, kill, monkeypatch)
    assert run(study, folders) == expected
    assert killed
    assert "a Ray worker was lost: another one goes on with its batches" in caplog.messages
    assert len(stored) == len(set(stored)) == CELLS


@pytest.mark.usefixtures("on_ray")
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PRUNEPROOF_DEVICE", "cuda", r"\(2 nodes, 2 CPUs, 0 GPUs\) has no room for a worker with one CPU and one GPU"),
        ("PRUNEPROOF_WORKERS", "3", r"PRUNEPROOF_WORKERS is 3, but Ray .* has room for 2 workers with one CPU"),
    ],
)
def test_more_than_the_cluster_has_is_refused(
    study: Study, folders: Folders, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(PruneProofError, match=said):
        run(study, folders)
    assert not list(folders.cells.rglob("*.cell"))


@pytest.mark.usefixtures("on_ray")
def test_a_node_that_leaves_takes_no_answer_with_it(
    study: Study,
    folders: Folders,
    cluster: Any,
    expected: dict[str, bytes],
    stored: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    third = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    when_stored(2, lambda: cluster.remove_node(third, allow_graceful=False), monkeypatch)
    with caplog.at_level("INFO", "pruneproof"):
        assert run(study, folders) == expected
    assert "3 workers with one CPU each" in caplog.text
    assert len(stored) == len(set(stored)) == CELLS


@pytest.mark.usefixtures("on_ray")
def test_workers_that_always_die_end_the_run_in_one_line(
    study: Study, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.05):
            for process in actors():
                process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(PruneProofError, match=r"3 workers in a row were lost .* finished work is kept"):
            run(study, folders)
    finally:
        over.set()
        killer.join()


@pytest.mark.usefixtures("on_ray")
def test_a_head_that_ends_is_one_line_and_the_next_run_goes_on(
    study: Study,
    folders: Folders,
    cluster: Any,
    expected: dict[str, bytes],
    stored: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    child: list[Any] = []
    start = engine._start
    monkeypatch.setattr(engine, "_start", lambda request: child.append(start(request)) or child[0])
    gate(monkeypatch, 4, lambda: not child[0][1].is_alive())
    when_stored(2, cluster.head_node.kill_gcs_server, monkeypatch)
    with pytest.raises(PruneProofError, match="has ended, or its head was restarted: finished work is kept"):
        run(study, folders)
    first = len(stored)
    assert 2 <= first < CELLS
    with pytest.raises(PruneProofError, match="no Ray cluster answers at RAY_ADDRESS"):
        run(study, folders)
    monkeypatch.setenv("PRUNEPROOF_ENGINE", "pool")
    assert run(study, folders) == expected
    assert len(stored) == len(set(stored)) == CELLS
